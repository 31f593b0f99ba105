"""What resources say of themselves: their own policies, their tags, and the boundary of a role."""

from __future__ import annotations

import re
from typing import Any

from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local.cloud.accounts import existing_role
from local.cloud.iam.keys import Keys
from local.cloud.regions import regions

_ARN = re.compile(r"arn:aws:(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<rest>.+)")


def policy_of(arn: str) -> Any:
    """The policy of a resource by its ARN, as its service keeps it; None where it has none. Buckets and keys: in their rooms."""
    found = _ARN.fullmatch(arn)
    if found is None or (found["region"] and found["region"] not in regions()):
        return None
    account, region, rest = found["account"], found["region"], found["rest"]
    match found["service"]:
        case "ecr":
            from local.cloud.ecr.backend import backends as registries

            repository = registries[account][region].repositories.get(rest.partition("/")[2])
            return repository.policy if repository is not None else None
        case "sagemaker" if rest.startswith(("model-package/", "model-package-group/")):
            from local.cloud.sagemaker.backend import backends as sagemakers

            group = sagemakers[account][region].registry.groups.get(rest.split("/")[1])
            return group.policy if group is not None else None
        case "sns":
            topic = sns_backends[account][region].topics.get(arn)
            return topic.policy if topic is not None else None
        case "sqs":
            queue = sqs_backends[account][region].queues.get(rest)
            return queue.policy if queue is not None else None
        case "iam" if rest.startswith("role/"):
            role = existing_role(arn)
            return role.assume_role_policy_document if role is not None else None
    return None


def resource_tags(arn: str) -> Keys:
    """aws:ResourceTag/ and sagemaker:ResourceTag/ of what SageMaker keeps."""
    found = _ARN.fullmatch(arn)
    if found is None or found["service"] != "sagemaker" or "*" in arn:
        return {}
    from local.cloud.sagemaker.backend import backends

    try:
        tags = backends[found["account"]][found["region"]].tags_of(arn)
    except Exception:  # what is not there has no tags; its own handler says so
        return {}
    return {f"{prefix}:resourcetag/{tag['Key']}".lower(): tag["Value"] for prefix in ("aws", "sagemaker") for tag in tags}


def boundary_keys(action: str, arn: str, keys: Keys) -> Keys:
    """iam:PermissionsBoundary: that of the role that is changed, or the one that a new role is to have."""
    if not action.startswith("iam:") or ":role/" not in arn or "iam:permissionsboundary" in keys:
        return {}
    role = existing_role(arn)
    boundary = getattr(role, "permissions_boundary_arn", None)
    return {"iam:permissionsboundary": str(boundary)} if boundary else {}
