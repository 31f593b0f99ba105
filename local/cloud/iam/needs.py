"""What a call needs to be allowed: actions on resources, each with its condition keys and what the resource's own policy says.

The action has the operation's name unless `ACTIONS` says otherwise; on which resources it is authorised is the Reference's to say. Beside
it stand passing a role (iam:PassRole for each role that the request hands to a service) and tagging (the tag action of the service, where
a request that creates also tags). S3 and KMS have rules of their own.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.cloud.dispatch.call import Call
from local.cloud.dispatch.parameters import parameters
from local.cloud.iam import reference
from local.cloud.iam.keys import Keys, request_keys, tag_keys, tags_of
from local.cloud.iam.resources import Place, resources

PREFIXES: dict[str, str] = {
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
    "sagemaker-featurestore-runtime": "sagemaker",
    "sagemaker-metrics": "sagemaker",
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
}
"""Prefix of the actions of a service, where it is not the service's own name."""

ACTIONS: dict[str, str] = {
    "dynamodb:TransactGetItems": "GetItem",
    "dynamodb:TransactWriteItems": "PutItem",
    "sagemaker-metrics:BatchPutMetrics": "BatchPutMetrics",
    "sns:PublishBatch": "Publish",
    "sqs:DeleteMessageBatch": "DeleteMessage",
    "sqs:SendMessageBatch": "SendMessage",
}
"""Operations that another action covers."""

NOBODY_ASKS = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""Operations that need no permission."""

TAGS_TOO: dict[str, str] = {
    "cloudwatch:PutCompositeAlarm": "cloudwatch:TagResource",
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "events:PutRule": "events:TagResource",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateRole": "iam:TagRole",
    "logs:CreateLogGroup": "logs:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
}
"""Tag actions that the services' own pages demand of a call with tags, and the Reference does not list."""

PASSED_TO: dict[str, str] = {"ec2": "vpc-flow-logs.amazonaws.com"}
"""iam:PassedToService, where it is not SERVICE.amazonaws.com."""

_ROLE = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/.+")
_PASSING = re.compile(r"(Create|Put|Register|Start|Update|Retry|Add)")


class Rule(enum.Enum):
    """How a resource's policy and the caller's own weigh within one account."""

    EITHER = "either of them allows"
    KEY = "the key's policy must allow, by itself or by leaving it to the account"
    TRUST = "a trust policy that names the role's taker allows; one that names the account leaves it to the account"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to be allowed.

    Attributes:
        resource: an ARN, or "*" for an action that knows no resources.
        owner: the account of the resource.
        keys: condition keys in lower case, beside those that every call has.
        policy: the resource's own policy, as kept, or None.
    """

    action: str
    resource: str
    owner: str
    keys: Keys = field(default_factory=dict)
    policy: Any = None
    rule: Rule = Rule.EITHER


class UnknownOperation(Exception):
    """An operation that no action is known for: nobody can say whether it is allowed."""


def action_name(service: str, operation: str) -> str:
    """The action that an operation is authorised by: "sagemaker:InvokeEndpoint"."""
    return f"{PREFIXES.get(service, service)}:{ACTIONS.get(f'{service}:{operation}', operation)}"


def needs_of(call: Call) -> list[Need]:
    """All that a call needs; the first is about what it acts on.

    Raises:
        UnknownOperation: the Service Authorization Reference has no action for it.
    """
    from local.cloud.iam.kms import kms_needs
    from local.cloud.s3.access import s3_needs

    if call.service == "s3":
        return s3_needs(call)
    name = action_name(call.service, call.operation)
    if name in NOBODY_ASKS:
        return []
    action = reference.action(name)
    if action is None:
        raise UnknownOperation(f"{call.service}:{call.operation}")
    given = parameters(call)
    if call.service == "kms":
        return kms_needs(call, name, action, given)
    return needs_for(name, action, given, Place(call.account, call.region), call.service)


def needs_for(name: str, action: reference.Action, given: Mapping[str, Any], place: Place, service: str) -> list[Need]:
    """The needs of an operation by its parameters."""
    prefix, _, short = name.partition(":")
    keys = request_keys(action, given)
    found = [_need(name, arn, place, keys) for arn in resources(prefix, short, action, given, place)]
    tagging = TAGS_TOO.get(name) or next((need for need in action.needs if _tags(prefix, need)), None)
    if tagging is not None and tags_of(given):
        found += [_need(tagging, each.resource, place, tag_keys(given)) for each in list(found)]
    if name == "sts:AssumeRole" and given.get("SourceIdentity"):
        found += [_need("sts:SetSourceIdentity", each.resource, place, keys) for each in list(found)]
    return found + list(_passed(prefix, short, given, service))


def _need(name: str, arn: str, place: Place, keys: Keys) -> Need:
    from local.cloud.iam.owners import boundary_keys, policy_of, resource_tags

    parts = arn.split(":", 5)
    owner = parts[4] if len(parts) == 6 and parts[4].isdigit() else place.account
    policy, rule = policy_of(arn), Rule.TRUST if name.startswith("sts:") else Rule.EITHER
    return Need(name, arn, owner, {**keys, **resource_tags(arn), **boundary_keys(name, arn, keys)}, policy, rule)


def _tags(prefix: str, need: str) -> bool:
    return need.startswith(prefix + ":") and need.split(":")[1] in ("AddTags", "CreateTags", "TagResource")


def _passed(prefix: str, operation: str, given: Mapping[str, Any], service: str) -> Iterator[Need]:
    """One need for each role that the request hands over."""
    if prefix in ("iam", "sts") or not _PASSING.match(operation):
        return
    to = PASSED_TO.get(service, f"{prefix}.amazonaws.com")
    for arn in dict.fromkeys(_roles(given)):
        found = _ROLE.fullmatch(arn)
        if found is not None:
            yield Need("iam:PassRole", arn, found["account"], {"iam:passedtoservice": to})


def _roles(value: Any, name: str = "") -> Iterator[str]:
    """ARNs of roles in members that hold roles."""
    if isinstance(value, Mapping):
        for member, inner in value.items():
            yield from _roles(inner, str(member))
    elif isinstance(value, list):
        for inner in value:
            yield from _roles(inner, name)
    elif isinstance(value, str) and (name.lower().endswith(("rolearn", "role")) or name == "DeliverLogsPermissionArn"):
        yield value
