"""Rights asked about without a call: what SageMaker does under an execution role, and requests that pass the dispatcher by.

What an execution role must be allowed is said by the developer guide, "How to use SageMaker AI execution roles", of CreateTrainingJob,
CreateProcessingJob and CreateModel. What it needs of S3 and CloudWatch Logs is not here: those are calls, made with its credentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from local.cloud.accounts import Caller, role_session
from local.cloud.containers.images import ImageReference
from local.cloud.iam.decisions import denied, refusal
from local.cloud.iam.identity import enforced, identity_of
from local.cloud.iam.kms import find_key, key_need
from local.cloud.iam.needs import Need
from local.cloud.iam.owners import policy_of

if TYPE_CHECKING:
    from local.cloud.context import Cloud

_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_SEE_NETWORK = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
_INTERFACE = ("ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission")
# The repositories of AWS's own images let everybody pull.
_FOR_EVERYBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]}


def check(cloud: Cloud, service: str, caller: Caller, region: str, need: Need) -> None:
    """Raise the service's own error where the caller lacks the right."""
    identity = enforced(caller) if cloud.enforce_iam else None
    if identity is None:
        return
    reason = refusal(caller, region, need, identity)
    cloud.rights.note(caller, need, reason)
    if reason is not None:
        raise denied(service, caller, need, reason)


def lacking(cloud: Cloud, role_arn: str | None, region: str, needs: Iterable[Need]) -> str | None:
    """Why a role may not what a service is to do for it, as AWS words the first refusal; None where it may all, or nothing is enforced."""
    identity = identity_of(role_arn) if cloud.enforce_iam and role_arn else None
    if identity is None or role_arn is None:
        return None
    caller = role_session(role_arn, "SageMaker")
    for need in needs:
        reason = refusal(caller, region, need, identity)
        cloud.rights.note(caller, need, reason)
        if reason is not None:
            return denied("", caller, need, reason).message
    return None


def pull_needs(reference: ImageReference, account: str, of_aws: bool = False) -> list[Need]:
    """To pull an image; `account` is the puller's, `of_aws` says that it is one of AWS's own images."""
    arn = f"arn:aws:ecr:{reference.region}:{reference.account}:repository/{reference.repository}"
    policy = _FOR_EVERYBODY if of_aws else policy_of(arn)
    return [Need("ecr:GetAuthorizationToken", "*", account), *(Need(action, arn, reference.account, {}, policy) for action in _PULL)]


def network_needs(vpc: Mapping[str, Any] | None, account: str, region: str) -> list[Need]:
    """To have network interfaces in the subnets of a VpcConfig; nothing for None."""
    if not vpc:
        return []
    place = f"arn:aws:ec2:{region}:{account}"
    parts = [f"{place}:network-interface/*"]
    parts += [f"{place}:subnet/{name}" for name in vpc.get("Subnets") or ()]
    parts += [f"{place}:security-group/{name}" for name in vpc.get("SecurityGroupIds") or ()]
    return [
        *(Need(action, "*", account) for action in _SEE_NETWORK),
        *(Need("ec2:CreateNetworkInterface", part, account) for part in parts),
        *(Need(action, f"{place}:network-interface/*", account) for action in _INTERFACE),
    ]


def alarm_needs(names: Iterable[str], account: str, region: str) -> list[Need]:
    """To look at alarms while a deployment goes on."""
    return [Need("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}", account) for name in names]


def volume_need(key_id: str | None, account: str, region: str) -> list[Need]:
    """To have a volume encrypted under a key: a grant for the service. Nothing for no key, or one that is not there."""
    key = find_key(key_id, account, region) if key_id else None
    if key is None:
        return []
    return [key_need("kms:CreateGrant", key, account, f"sagemaker.{region}.amazonaws.com", {"kms:grantisforawsresource": "true"})]


def check_volume(cloud: Cloud, caller: Caller, role_arn: str | None, region: str, key_id: str | None) -> None:
    """The grant for a volume may be made by the role or, where it may not, by the caller ("API permissions reference": kms:CreateGrant is
    "required only if ... the associated role does not have a policy that permits this action"). `role_arn` None: by the caller alone.
    """
    for need in volume_need(key_id, caller.account_id, region):
        if role_arn is None or lacking(cloud, role_arn, region, [need]) is not None:
            check(cloud, "sagemaker", caller, region, need)
