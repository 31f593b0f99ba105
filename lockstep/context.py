"""What every command needs to know first: which checkout, which cloud, with whose rights, and how to speak.

Two clouds can be meant. LOCKSTEP_TARGET says which: `local` is the embedded cloud of this checkout, `aws` is whatever the
usual AWS variables point to. Unset, it is the embedded cloud if that runs, and AWS otherwise.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from infra.errors import PreflightError, UsageError

if TYPE_CHECKING:
    import boto3

    from infra.config import Stack
    from infra.naming import Names
    from infra.outputs import EnvironmentOutputs
    from lockstep.cloud_process import RunningCloud

Target = Literal["local", "aws"]
TARGET_VARIABLE = "LOCKSTEP_TARGET"

EnvironmentName = Annotated[
    str, typer.Argument(metavar="ENV", help="An environment: dev, staging, prod, or another that has a stack file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]


def _console(stderr: bool) -> Console:
    # Where nobody looks, lines are not folded at 80 characters: what reads them may search them.
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 200, highlight=False)


console = _console(stderr=False)
errors = _console(stderr=True)


def emit(value: Any) -> None:
    """Prints one JSON document on standard output: the answer of a command called with --json."""
    print(json.dumps(value, indent=2, sort_keys=True, default=str))


@cache
def project_root() -> Path:
    """The checkout: the nearest folder upwards that holds Pulumi.yaml and stacks/, else the one this package lies in."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file() and (folder / "stacks").is_dir():
            return folder
    return Path(__file__).resolve().parents[1]


def home() -> Path:
    """Where the rehearsal keeps its state: LOCKSTEP_HOME, else `.lockstep` in the checkout."""
    return Path(os.environ.get("LOCKSTEP_HOME") or project_root() / ".lockstep").absolute()


def stacks_folder() -> Path:
    """Where the stack files are."""
    return project_root() / "stacks"


def stack(environment: str) -> Stack:
    """The validated stack file of an environment. UsageError if there is none, ConfigError if it is wrong."""
    from infra.config import load_stack

    return load_stack(stacks_folder(), environment)


def names(environment: str) -> Names:
    """All physical names of an environment, computed from its stack file."""
    from infra.naming import Names

    return Names.of(stack(environment))


def running_cloud() -> RunningCloud | None:
    """The embedded cloud of this checkout, if it runs."""
    from lockstep.cloud_process import find

    return find(home() / "cloud")


def asked_target() -> Target | None:
    """The cloud that the shell asks for; None: it leaves that open. UsageError if it asks for one that there is not."""
    asked = os.environ.get(TARGET_VARIABLE)
    if asked == "local" or asked == "aws":
        return "local" if asked == "local" else "aws"
    if asked:
        where = f"environment variable {TARGET_VARIABLE}"
        raise UsageError(f"{TARGET_VARIABLE} is {asked!r}", where=where, remedy="Set it to local or aws, or unset it.")
    return None


def target() -> Target:
    """Which cloud commands speak to."""
    return asked_target() or ("local" if running_cloud() else "aws")


def cloud_name(meant: Target) -> str:
    """A cloud as a person is told of it, before something is made or removed there."""
    if meant == "local":
        return "the embedded cloud"
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return f"AWS (at {endpoint})" if endpoint else "AWS"


def consent(question: str, *, command: str, yes: bool, as_json: bool) -> None:
    """Asks before something is made or removed, unless --yes was said.

    Raises:
        UsageError: nobody can be asked: there is no terminal, or a machine reads the answer.
        typer.Abort: the answer was no.
    """
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", where=command, remedy="Nothing was changed. Say --yes to go on without asking.")
    typer.confirm(question, abort=True)


def session(environment: str, meant: Target | None = None) -> boto3.Session:
    """A session with the rights of one environment's account, whose clients speak to the cloud that is meant: by default, the target.

    Raises:
        UsageError, ConfigError: there is no such environment, or its file is wrong.
        PreflightError: no credentials for the environment's account, or no cloud.
    """
    from lockstep import aws

    found = stack(environment)
    if (meant or target()) == "local":
        return aws.LocalSession(found.config.account_id, found.config.region, require_cloud())
    return aws.aws_session(environment, found.config)


def require_cloud() -> RunningCloud:
    """The embedded cloud of this checkout; an error that says how to start it if it does not run."""
    from local.errors import CloudNotRunning

    cloud = running_cloud()
    if cloud is None:
        raise CloudNotRunning(
            "the embedded cloud of this checkout is not running", where=str(home() / "cloud"), remedy="Start it with `lockstep cloud up`."
        )
    return cloud


class NotDeployed(PreflightError):
    """The environment has no stack yet, or has none any more."""


def outputs(environment: str) -> EnvironmentOutputs:
    """How the deployed environment describes itself, read from its own bucket.

    Raises:
        NotDeployed: there is nothing to read.
        PreflightError: what is there can't be read by this version; no credentials for the environment's account.
    """
    from botocore.exceptions import ClientError
    from pydantic import ValidationError

    from infra.outputs import EnvironmentOutputs

    where = f"s3://{names(environment).bucket('artefacts')}/environment/outputs.json"
    bucket, _, key = where.removeprefix("s3://").partition("/")
    try:
        text = session(environment).client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket", "404"):
            raise
        raise NotDeployed(f"{environment} is not deployed", where=where, remedy=f"Deploy it with `pulumi up -s {environment}`.") from error
    try:
        return EnvironmentOutputs.model_validate_json(text)
    except ValidationError as error:
        raise PreflightError(
            f"the outputs of {environment} are of another version: {error.error_count()} fields do not fit",
            where=where,
            remedy=f"Deploy it again with `pulumi up -s {environment}`.",
        ) from error
