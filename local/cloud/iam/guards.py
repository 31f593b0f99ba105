"""The guards before the handlers: resource policies of ECR repositories, model package groups, keys and buckets."""

from __future__ import annotations

import re

from moto.kms.models import kms_backends

from local.cloud.context import Cloud
from local.cloud.dispatch.call import Call
from local.cloud.iam.decisions import admit, context_of, decide, denied
from local.cloud.iam.identity import may
from local.cloud.iam.policy import Principal, Question, Verdict
from local.cloud.registry.keys import registry_keys
from local.cloud.s3.access import guard_s3

_ARN = re.compile(r"arn:aws:(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<kind>[a-z-]+)/(?P<name>.+)")

# Operations of the registry that a group's policy speaks of, and the member that holds the ARN.
_REGISTRY = {
    "CreateModelPackage": "ModelPackageGroupName",
    "DescribeModelPackage": "ModelPackageName",
    "DescribeModelPackageGroup": "ModelPackageGroupName",
    "ListModelPackages": "ModelPackageGroupName",
    "UpdateModelPackage": "ModelPackageArn",
    "DeleteModelPackage": "ModelPackageName",
    "GetModelPackageGroupPolicy": "ModelPackageGroupName",
    "ListTags": "ResourceArn",
}


def install(cloud: Cloud) -> None:
    cloud.guards += [guard_s3, guard_ecr, guard_registry, guard_kms, guard_identity]


def guard_ecr(call: Call) -> None:
    """A call that names another registry is for the repository's policy to allow."""
    if call.service != "ecr":
        return
    owner, name = call.json.get("registryId"), call.json.get("repositoryName")
    if not owner or owner == call.caller.account_id:
        return
    from local.cloud.ecr.backend import backends

    repository = backends[owner][call.region].repositories.get(name) if name and re.fullmatch(r"\d{12}", owner) else None
    resource = f"arn:aws:ecr:{call.region}:{owner}:repository/{name or '*'}"
    admit(call, repository.policy if repository else None, owner, f"ecr:{call.operation}", resource, "AccessDeniedException")


def guard_registry(call: Call) -> None:
    """A model package or group, named by ARN: its group's policy lets other accounts in, and what it denies it denies to its own too."""
    member = _REGISTRY.get(call.operation) if call.service == "sagemaker" else None
    named = str(call.json.get(member, "")) if member else ""
    if call.operation == "CreateModelPackage" and named and not named.startswith("arn:"):
        named = f"arn:aws:sagemaker:{call.region}:{call.caller.account_id}:model-package-group/{named}"
    found = _ARN.fullmatch(named)
    if found is None:
        return
    from local.cloud.sagemaker.backend import backends

    resource, name, owner = found[0], found["name"].split("/")[0], found["account"]
    group = backends[owner][found["region"]].registry.groups.get(name)
    policy, action = group.policy if group else None, f"sagemaker:{call.operation}"
    keys = registry_keys(call.operation, call.json)
    if owner != call.caller.account_id or decide(call, policy, owner, action, resource, keys) is Verdict.DENY:
        admit(call, policy, owner, action, resource, "AccessDeniedException", keys)


def guard_kms(call: Call) -> None:
    """A key of another account, named by ARN. The key policy decides; that of the caller's own account gives the account's root all."""
    if call.service != "kms":
        return
    found = _ARN.fullmatch(str(call.json.get("KeyId", "")))
    if found is None or found["account"] == call.caller.account_id:
        return
    backend = kms_backends[found["account"]][found["region"]]
    extra = {"kms:calleraccount": call.caller.account_id}
    key_id = found["name"]
    if found["kind"] == "alias":
        extra["kms:requestalias"] = f"alias/{key_id}"
        key_id = str(backend.get_key_id_from_alias(f"alias/{key_id}"))
    key = backend.keys.get(key_id)
    admit(
        call,
        key.policy if key else None,
        found["account"],
        f"kms:{call.operation}",
        key.arn if key else found[0],
        "AccessDeniedException",
        extra,
    )


def guard_identity(call: Call) -> None:
    """With enforcement on: UpdateEndpoint needs an allow of the caller's own policies, for the endpoint and for the config."""
    from local.cloud import context

    if call.service != "sagemaker" or call.operation != "UpdateEndpoint" or not context.current().enforce_iam:
        return
    place = f"arn:aws:sagemaker:{call.region}:{call.account}"
    for resource in (f"{place}:endpoint/{call.json.get('EndpointName')}", f"{place}:endpoint-config/{call.json.get('EndpointConfigName')}"):
        question = Question(Principal.of(call.caller), "sagemaker:UpdateEndpoint", resource, context_of(call, call.account))
        verdict = may(call.caller, question)
        if verdict is not Verdict.ALLOW:
            reason = (
                "with an explicit deny in an identity-based policy"
                if verdict is Verdict.DENY
                else ("because no identity-based policy allows the sagemaker:UpdateEndpoint action")
            )
            raise denied(call.caller, question.action, resource, "AccessDeniedException", reason)
