"""Condition keys that a request carries, by the Service Authorization Reference: which member of the request fills which key.

An action gets the keys that the Reference gives it, and no others. A key that is listed here and not in a request is absent, which
`Null` sees. Tags of existing resources (aws:ResourceTag) are known of SageMaker's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local.cloud.iam.reference import Action

Keys = dict[str, str | list[str]]

# Key -> paths in the request; "[]" goes through a list. The first that is there counts; of lists and maps, every value.
MEMBERS: dict[str, tuple[str, ...]] = {
    "sagemaker:VpcSubnets": ("VpcConfig.Subnets", "NetworkConfig.VpcConfig.Subnets", "SubnetIds"),
    "sagemaker:VpcSecurityGroupIds": ("VpcConfig.SecurityGroupIds", "NetworkConfig.VpcConfig.SecurityGroupIds"),
    "sagemaker:NetworkIsolation": ("EnableNetworkIsolation", "NetworkConfig.EnableNetworkIsolation"),
    "sagemaker:InterContainerTrafficEncryption": (
        "EnableInterContainerTrafficEncryption",
        "NetworkConfig.EnableInterContainerTrafficEncryption",
    ),
    "sagemaker:VolumeKmsKey": ("ResourceConfig.VolumeKmsKeyId", "ProcessingResources.ClusterConfig.VolumeKmsKeyId", "KmsKeyId"),
    "sagemaker:OutputKmsKey": ("OutputDataConfig.KmsKeyId", "ProcessingOutputConfig.KmsKeyId"),
    "sagemaker:InstanceTypes": (
        "ResourceConfig.InstanceType",
        "ProcessingResources.ClusterConfig.InstanceType",
        "ProductionVariants[].InstanceType",
        "InstanceType",
    ),
    "sagemaker:MaxRuntimeInSeconds": ("StoppingCondition.MaxRuntimeInSeconds",),
    "sagemaker:ModelApprovalStatus": ("ModelApprovalStatus",),
    "sagemaker:ModelLifeCycle:Stage": ("ModelLifeCycle.Stage",),
    "sagemaker:ModelLifeCycle:StageStatus": ("ModelLifeCycle.StageStatus",),
    "sagemaker:CustomerMetadataPropertiesToRemove": ("CustomerMetadataPropertiesToRemove",),
    "sagemaker:TargetModel": ("TargetModel",),
    "cloudwatch:namespace": ("Namespace",),
    "cloudwatch:AlarmActions": ("AlarmActions",),
    "events:TargetArn": ("Targets[].Arn",),
    "iam:PermissionsBoundary": ("PermissionsBoundary",),
    "iam:PolicyARN": ("PolicyArn",),
    "kms:GranteePrincipal": ("GranteePrincipal",),
    "kms:GrantOperations": ("Operations",),
    "sts:ExternalId": ("ExternalId",),
    "sts:RoleSessionName": ("RoleSessionName",),
}
# Keys that end in a name of the caller's choice -> the map that holds names and values.
MAPS: dict[str, str] = {
    "sagemaker:CustomerMetadataProperties/": "CustomerMetadataProperties",
    "kms:EncryptionContext:": "EncryptionContext",
}
# Keys that are filled elsewhere: by the call itself (`local.cloud.iam.decisions`), by the resource (`local.cloud.iam.resources`, `.needs`),
# or in the room of the service (S3).
ELSEWHERE = frozenset(
    {
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalServiceName",
        "aws:PrincipalType",
        "aws:RequestTag/",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:ResourceTag/",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIp",
        "aws:TagKeys",
        "aws:userid",
        "aws:username",
        "iam:PassedToService",
        "kms:CallerAccount",
        "kms:GrantIsForAWSResource",
        "kms:RequestAlias",
        "kms:ResourceAliases",
        "kms:ViaService",
        "s3:delimiter",
        "s3:max-keys",
        "s3:object-lock-mode",
        "s3:prefix",
        "s3:versionid",
    }
)
_TAG_MEMBERS = ("Tags", "tags", "TagList", "resourceTags", "TagsList")


def request_keys(action: Action, given: Mapping[str, Any]) -> Keys:
    """The condition keys of a request, in lower case."""
    found: Keys = {}
    for key, paths in MEMBERS.items():
        if key in action.keys:
            values = next((values for path in paths if (values := list(_at(given, path)))), None)
            if values is not None:
                found[key.lower()] = values if len(values) != 1 else values[0]
    for prefix, member in MAPS.items():
        if prefix in action.keys:
            found |= {f"{prefix}{name}".lower(): str(value) for name, value in (given.get(member) or {}).items()}
    return found | (tag_keys(given) if "aws:TagKeys" in action.keys else {})


def tag_keys(given: Mapping[str, Any]) -> Keys:
    """aws:TagKeys, and aws:RequestTag/ for each tag of the request."""
    tags = tags_of(given)
    names = list(tags) or [str(name) for name in given.get("TagKeys") or given.get("tagKeys") or ()]
    found: Keys = {f"aws:requesttag/{name}".lower(): value for name, value in tags.items()}
    return {**found, "aws:tagkeys": names} if names else found


def tags_of(given: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a request sets."""
    found: dict[str, str] = {}
    sources = [given.get(member) for member in _TAG_MEMBERS]
    for specification in given.get("TagSpecifications") or given.get("TagSpecification") or ():
        if isinstance(specification, Mapping):
            sources.append(specification.get("Tags"))
    for source in sources:
        if isinstance(source, Mapping):
            found |= {str(name): str(value) for name, value in source.items()}
        for tag in source if isinstance(source, list) else ():
            named = {str(name).lower(): value for name, value in tag.items()} if isinstance(tag, Mapping) else {}
            name = named.get("key", named.get("tagkey"))
            if name is not None:
                found[str(name)] = str(named.get("value", named.get("tagvalue")) or "")
    return found


def _at(value: Any, path: str) -> Iterable[str]:
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if not isinstance(value, Mapping) or value.get(name) is None:
        return
    inner = value[name]
    for item in inner if isinstance(inner, list) else [inner]:
        if rest:
            yield from _at(item, rest)
        elif not isinstance(item, Mapping):
            yield str(item).lower() if isinstance(item, bool) else str(item)
