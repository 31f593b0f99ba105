"""Calls that are signed for a region that this cloud does not have."""

from __future__ import annotations

from functools import cache

from botocore.loaders import create_loader
from botocore.regions import EndpointResolver
from moto.core.utils import get_service_model

from local.cloud.aws_errors import CloudError


@cache
def regions() -> frozenset[str]:
    """Regions of the partition `aws`, which is the one that the embedded cloud stands for."""
    # Not by a session, which would read the shell's profile.
    known = EndpointResolver(create_loader().load_data("endpoints"))
    return frozenset((*known.get_available_endpoints("ec2", partition_name="aws"), "aws-global"))


def check_region(service: str, region: str) -> None:
    """Refuses a credential scope as AWS does, by the code of the service's protocol.

    Raises:
        CloudError: there is no such region.
    """
    if region in regions():
        return
    if service == "s3":
        raise CloudError("AuthorizationHeaderMalformed", f"The authorization header is malformed; the region '{region}' is wrong")
    try:
        speaks_json = str(get_service_model(service).protocol).endswith("json")
    except Exception:  # a service that botocore does not know: what it would say is nowhere written
        speaks_json = False
    code = "InvalidSignatureException" if speaks_json else "SignatureDoesNotMatch"
    raise CloudError(code, f"Credential should be scoped to a valid region: {region!r} is none of this cloud's partition, aws.", 403)
