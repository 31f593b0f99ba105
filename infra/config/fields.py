"""The kinds of value that a stack file holds, so that the model reads as a specification."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Group(BaseModel):
    """Base of all parts of the config: frozen, unknown keys refused, camelCase in YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


def _network(value: str) -> str:
    try:
        IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"an IPv4 range such as 10.10.0.0/16 ({error})") from error
    return value


def _log_days(value: int) -> int:
    if value not in LOG_DAYS:
        raise ValueError(f"one of the periods that CloudWatch Logs offers: {', '.join(map(str, LOG_DAYS))} days")
    return value


def _feature_name(value: str) -> str:
    if len(value) > 64 or not re.fullmatch(FEATURE_NAME, value):
        raise ValueError("a feature's name: up to 64 letters, digits, hyphens and underscores, a letter or digit at both ends")
    return value


AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$", description="An AWS account id: twelve digits, in quotes.")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="An AWS region, such as us-east-1.")]
Zone = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", description="An availability zone, such as us-east-1a.")]
Cidr = Annotated[str, AfterValidator(_network), Field(description="An IPv4 range, such as 10.10.0.0/16.")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws(-us-gov)?:iam::[0-9]{12}:role/.+$", description="The ARN of an IAM role.")]
EnvironmentName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$", description="The name of a stack: up to 16 lower-case letters and digits.")
]
Slug = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=24,
        description="A name of lower-case words joined by hyphens, up to 24 characters.",
    ),
]
TagValue = Annotated[
    str, Field(pattern=r"^[\w .:/=+@-]+$", max_length=256, description="A tag's value: letters, digits, spaces and _.:/=+-@")
]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="An e-mail address.")]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", description="A SageMaker instance type, such as ml.m5.large.")]
ImageByDigest = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$",
        description="An image in ECR by digest: <account>.dkr.ecr.<region>.amazonaws.com/<name>@sha256:<64 hex digits>.",
    ),
]
Percent = Annotated[int, Field(ge=0, le=100)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
# Infinity and NaN are numbers to YAML: a limit of either is none.
Finite = Annotated[float, Field(allow_inf_nan=False)]
# The pattern of CreateFeatureGroup, whose names have up to 64 characters.
FEATURE_NAME = r"[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}"
FeatureName = Annotated[str, AfterValidator(_feature_name)]
ContentType = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9])*/[A-Za-z0-9](-*[A-Za-z0-9.])*$", max_length=256, description="A content type: text/csv."),
]
WaitSeconds = Annotated[int, Field(ge=0, le=3600)]
Days = Annotated[int, Field(ge=1, le=3653)]
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
LogDays = Annotated[
    int,
    AfterValidator(_log_days),
    Field(
        description="Days that CloudWatch Logs keeps events: one of the periods that it offers.", json_schema_extra={"enum": list(LOG_DAYS)}
    ),
]
