"""From a request to the ARNs that its action is authorised on: the ARN's format is the Reference's, members of the request fill it.

A member whose name is the variable's fills it ("EndpointName"); `MEMBERS` names the others. Who gives an ARN means that ARN. What the
request does not say, an id that is yet to be given for one, is "*", which a policy allows by a wildcard alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends

from local.cloud.iam.reference import Action, arn_format

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ARN = "arn:aws"

# Variable of an ARN -> members of requests that fill it, besides the one of its own name and its plural.
MEMBERS: dict[str, tuple[str, ...]] = {
    "application-autoscaling:ResourceId": ("ResourceARN",),
    "athena:WorkGroupName": ("WorkGroup", "Name"),
    "cloudtrail:TrailName": ("Name", "ResourceId"),
    "cloudwatch:AlarmName": ("AlarmNames",),
    "dynamodb:TableName": ("ResourceArn",),
    "ec2:SecurityGroupId": ("GroupId", "GroupIds", "SecurityGroupIds"),
    "events:RuleName": ("Rule", "Name"),
    "iam:OidcProviderName": ("OpenIDConnectProviderArn", "Url"),
    "iam:InstanceProfileNameWithPath": ("InstanceProfileName",),
    "iam:PolicyNameWithPath": ("PolicyArn", "PolicyName"),
    "iam:RoleNameWithPath": ("RoleName",),
    "iam:UserNameWithPath": ("UserName",),
    "sagemaker:DataQualityJobDefinitionName": ("JobDefinitionName",),
    "sagemaker:MlflowTrackingServerName": ("TrackingServerName",),
    "sagemaker:ModelPackageName": ("ModelPackageArn",),
    "sagemaker:RandomString": ("PipelineExecutionArn",),
    "sns:TopicName": ("TopicArn", "Name"),
    "sqs:QueueName": ("QueueUrl",),
    "ssm:ParameterNameWithoutLeadingSlash": ("Name", "Names"),
    "sts:RoleNameWithPath": ("RoleArn",),
}
# Members by which any resource is named, in calls about tags and the like.
_ANY = ("ResourceArn", "ResourceARN", "resourceArn", "arn")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is made: the account and region of what it names without an ARN."""

    account: str
    region: str


def resources(prefix: str, name: str, action: Action, given: Mapping[str, Any], place: Place) -> list[str]:
    """The ARNs that a policy must allow the action on, each; ["*"] for an action that knows no resources."""
    special = _SPECIAL.get(f"{prefix}:{name}")
    if special is not None:
        return special(given, place)
    named = next((str(given[member]) for member in _ANY if str(given.get(member, "")).startswith(_ARN)), None)
    if named is not None and (action.required or action.optional):
        return [named]
    found = [arn for kind in action.required for arn in arns(prefix, kind, given, place)]
    found += [arn for kind in action.optional for arn in arns(prefix, kind, given, place, whole=True)]
    return found or ["*"]


def arns(prefix: str, kind: str, given: Mapping[str, Any], place: Place, whole: bool = False) -> list[str]:
    """The ARNs of one type that a request names; none where it does not name it wholly and `whole` is asked for."""
    text = arn_format(prefix, kind)
    fixed = {"Partition": "aws", "Region": place.region, "Account": str(given.get("registryId") or place.account)}
    variables = [variable for variable in _VARIABLE.findall(text) if variable not in fixed]
    choices = [_values(prefix, variable, given, place) for variable in variables]
    if whole and not (variables and all(choices)):
        return []
    given_whole = [value for value in choices[-1] if value.startswith(_ARN)] if choices else []
    if given_whole:
        return given_whole
    found = []
    for values in itertools.product(*(choice or ["*"] for choice in choices)):
        filled = fixed | dict(zip(variables, values, strict=True))
        found.append(_VARIABLE.sub(lambda match, filled=filled: filled[match[1]], text))  # type: ignore[misc]
    return [_as_checked(prefix, kind, arn) for arn in found]


def _values(prefix: str, variable: str, given: Mapping[str, Any], place: Place) -> list[str]:
    members = {name.lower(): value for name, value in given.items()}
    plain = variable.removesuffix("Name")
    for member in (variable, f"{variable}s", f"{plain}Arn", *MEMBERS.get(f"{prefix}:{variable}", ())):
        value = members.get(member.lower())
        if value:
            found = [str(item) for item in value] if isinstance(value, list) else [str(value)]
            return [_with_path(prefix, variable, item, given, place) for item in found]
    return []


def _with_path(prefix: str, variable: str, value: str, given: Mapping[str, Any], place: Place) -> str:
    if prefix == "sqs" and value.startswith("http"):
        return value.rstrip("/").rsplit("/", 1)[-1]
    if prefix == "ssm":
        return value.removeprefix("/")
    if prefix != "iam" or value.startswith(_ARN):
        return value
    if variable == "OidcProviderName":
        return value.removeprefix("https://").rstrip("/")
    if variable == "RoleNameWithPath" and not given.get("Path"):
        role = next((role for role in iam_backends[place.account]["aws"].roles.values() if role.name == value), None)
        return f"{role.path}{value}".lstrip("/") if role is not None else value
    return f"{given.get('Path') or '/'}{value}".lstrip("/")


def _as_checked(prefix: str, kind: str, arn: str) -> str:
    """Log groups are checked by an ARN that goes on: AWS's refusals say log-group:NAME:log-stream:, which `NAME` alone does not match."""
    return f"{arn}:log-stream:" if (prefix, kind) == ("logs", "log-group") else arn


def _packages_of(given: Mapping[str, Any], place: Place) -> list[str]:
    """Packages of a group: group/*. One without a group goes by its own name."""
    group = str(given.get("ModelPackageGroupName") or "")
    name = str(given.get("ModelPackageName") or "")
    if not group:
        return [f"arn:aws:sagemaker:{place.region}:{place.account}:model-package/{name or '*'}"]
    arn = group if group.startswith(_ARN) else f"arn:aws:sagemaker:{place.region}:{place.account}:model-package-group/{group}"
    return [f"{arn.replace(':model-package-group/', ':model-package/')}/*"]


def _created_package(given: Mapping[str, Any], place: Place) -> list[str]:
    """The Reference names both, and does not say when which; who registers is asked for both."""
    packages = _packages_of(given, place)
    groups = [arn.replace(":model-package/", ":model-package-group/").removesuffix("/*") for arn in packages if arn.endswith("/*")]
    return packages + (groups if given.get("ModelPackageGroupName") else [])


def _rule(given: Mapping[str, Any], place: Place) -> list[str]:
    bus = str(given.get("EventBusName") or "default").rsplit("/", 1)[-1]
    kind = "rule-on-default-event-bus" if bus == "default" else "rule-on-custom-event-bus"
    return arns("events", kind, {**given, "EventBusName": bus}, place)


# What the rule above does not find.
_SPECIAL = {
    "sagemaker:CreateModelPackage": _created_package,
    "sagemaker:ListModelPackages": _packages_of,
    **{f"events:{verb}Rule": _rule for verb in ("Delete", "Describe", "Disable", "Enable", "Put")},
    **{f"events:{name}": _rule for name in ("ListTargetsByRule", "PutTargets", "RemoveTargets")},
}
