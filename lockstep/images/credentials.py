"""Who asks a registry: what `docker login` left in Docker's config or its credential store, a token of ECR, or nobody."""

from __future__ import annotations

import base64
import re

from docker import auth
from docker.errors import DockerException

from infra.errors import PreflightError
from lockstep.images.reference import Reference

ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")

# User name and password.
Credentials = tuple[str, str]


def find(reference: Reference) -> Credentials | None:
    """The credentials for an image's registry; None to ask as nobody.

    Docker's config is looked for where Docker looks: $DOCKER_CONFIG/config.json, else ~/.docker/config.json, with its `credsStore` and
    `credHelpers`. For an ECR repository that it does not know, a token is asked of ECR with the standard AWS credentials.

    Raises:
        PreflightError: the credential store fails, or ECR gives no token.
    """
    try:
        entry = auth.load_config().resolve_authconfig(reference.registry)
    except DockerException as error:
        raise PreflightError(
            f"Docker's credentials can't be read: {error}", where=reference.registry, remedy="Run `docker login` again."
        ) from error
    # A config file gives lower-case keys, a credential store upper-case ones.
    known = {key.lower(): value for key, value in (entry or {}).items()}
    if known.get("identitytoken"):
        # Docker's own name for "the password is a refresh token"
        return "<token>", str(known["identitytoken"])
    if known.get("username"):
        return str(known["username"]), str(known.get("password") or "")
    private = ECR.fullmatch(reference.registry)
    return _from_ecr(reference, private["region"]) if private else None


def _from_ecr(reference: Reference, region: str) -> Credentials:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        token = boto3.Session(region_name=region).client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    except (BotoCoreError, ClientError) as error:
        raise PreflightError(
            f"ECR gives no token: {error}", where=reference.registry, remedy="Set AWS credentials that may read this repository."
        ) from error
    name, _, password = base64.b64decode(token).decode().partition(":")
    return name, password
