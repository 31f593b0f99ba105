"""Roles, policies and what attaches one to the other."""

from __future__ import annotations

from typing import Any

from local.provider.api import Api
from local.provider.errors import AwsError
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Setting, Tags

GONE = ("NoSuchEntity", "NoSuchEntityException")
_VERSIONS_OF_A_POLICY = 5


def _delete_role(api: Api, identity: str, state: Properties) -> None:
    for profile in api.pages("iam", "ListInstanceProfilesForRole", "InstanceProfiles", RoleName=identity):
        api.call("iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=profile["InstanceProfileName"], RoleName=identity)
    if state.get("forceDetachPolicies"):
        for policy in api.pages("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=identity):
            api.call("iam", "DetachRolePolicy", RoleName=identity, PolicyArn=policy["PolicyArn"])
        for name in api.pages("iam", "ListRolePolicies", "PolicyNames", RoleName=identity):
            api.call("iam", "DeleteRolePolicy", RoleName=identity, PolicyName=name)
    api.call("iam", "DeleteRole", RoleName=identity)


ROLE = ResourceType(
    token="aws:iam/role:Role",
    service="iam",
    create=Call(
        "CreateRole",
        {"RoleName": "$name", "AssumeRolePolicyDocument": "$assumeRolePolicy"},
        fields=("path", "description", "maxSessionDuration", "permissionsBoundary"),
    ),
    identity="{name}",
    reads=(
        Read(
            "GetRole",
            {"RoleName": "$id"},
            at="Role",
            fields={
                "name": "RoleName",
                "assumeRolePolicy": "AssumeRolePolicyDocument",
                "permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
                "uniqueId": "RoleId",
            },
            absent=GONE,
        ),
    ),
    settings=(
        Setting(
            ("assumeRolePolicy",),
            Call("UpdateAssumeRolePolicy", {"RoleName": "$id", "PolicyDocument": "$assumeRolePolicy"}),
            at_create=False,
        ),
        Setting(
            ("description", "maxSessionDuration"),
            Call("UpdateRole", {"RoleName": "$id"}, fields=("description", "maxSessionDuration")),
            at_create=False,
        ),
        Setting(
            ("permissionsBoundary",),
            Call("PutRolePermissionsBoundary", {"RoleName": "$id", "PermissionsBoundary": "$permissionsBoundary"}),
            at_create=False,
            clear=Call("DeleteRolePermissionsBoundary", {"RoleName": "$id"}),
        ),
    ),
    delete=Call("DeleteRole", {"RoleName": "$id"}),
    absent=GONE,
    replace=("name", "namePrefix", "path"),
    name=AutoName("name", 64, prefix="namePrefix"),
    defaults={"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False},
    computed=("namePrefix",),
    documents=("assumeRolePolicy",),
    local=("forceDetachPolicies", "namePrefix"),
    tags=Tags(tag=Call("TagRole", {"RoleName": "$id"}), untag=Call("UntagRole", {"RoleName": "$id"})),
    on_delete=_delete_role,
)


def _update_policy(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    if "policy" not in changed:
        return
    versions = api.pages("iam", "ListPolicyVersions", "Versions", PolicyArn=identity)
    spare = sorted((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
    if len(versions) >= _VERSIONS_OF_A_POLICY:
        api.call("iam", "DeletePolicyVersion", PolicyArn=identity, VersionId=spare[0]["VersionId"])
    api.call("iam", "CreatePolicyVersion", PolicyArn=identity, PolicyDocument=new["policy"], SetAsDefault=True)


def _delete_policy(api: Api, identity: str, state: Properties) -> None:
    for version in api.pages("iam", "ListPolicyVersions", "Versions", PolicyArn=identity):
        if not version["IsDefaultVersion"]:
            api.call("iam", "DeletePolicyVersion", PolicyArn=identity, VersionId=version["VersionId"])
    api.call("iam", "DeletePolicy", PolicyArn=identity)


POLICY = ResourceType(
    token="aws:iam/policy:Policy",
    service="iam",
    create=Call("CreatePolicy", {"PolicyName": "$name", "PolicyDocument": "$policy"}, fields=("path", "description")),
    identity="Policy.Arn",
    reads=(
        Read(
            "GetPolicy",
            {"PolicyArn": "$id"},
            at="Policy",
            fields={"name": "PolicyName", "_version": "DefaultVersionId"},
            skip=("policy", "attachmentCount"),
            absent=GONE,
        ),
        Read("GetPolicyVersion", {"PolicyArn": "$id", "VersionId": "$_version"}, at="PolicyVersion", fields={"policy": "Document"}),
    ),
    delete=Call("DeletePolicy", {"PolicyArn": "$id"}),
    absent=GONE,
    replace=("name", "namePrefix", "path", "description"),
    name=AutoName("name", 128, prefix="namePrefix"),
    defaults={"path": "/"},
    computed=("namePrefix",),
    documents=("policy",),
    local=("namePrefix",),
    tags=Tags(tag=Call("TagPolicy", {"PolicyArn": "$id"}), untag=Call("UntagPolicy", {"PolicyArn": "$id"})),
    on_update=_update_policy,
    on_delete=_delete_policy,
)


def _read_role_policy(api: Api, identity: str, known: Properties) -> Properties | None:
    role, _, name = identity.partition(":")
    found = api.try_call("iam", "GetRolePolicy", GONE, RoleName=role, PolicyName=name)
    if found is None:
        return None
    import json

    document = found["PolicyDocument"]
    return {"role": role, "name": name, "policy": document if isinstance(document, str) else json.dumps(document, sort_keys=True)}


def _delete_role_policy(api: Api, identity: str, state: Properties) -> None:
    role, _, name = identity.partition(":")
    api.call("iam", "DeleteRolePolicy", RoleName=role, PolicyName=name)


ROLE_POLICY = ResourceType(
    token="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    create=Call("PutRolePolicy", {"RoleName": "$role", "PolicyName": "$name", "PolicyDocument": "$policy"}),
    identity="{role}:{name}",
    upsert=True,
    absent=GONE,
    replace=("role", "name", "namePrefix"),
    name=AutoName("name", 128, prefix="namePrefix"),
    computed=("namePrefix",),
    documents=("policy",),
    local=("namePrefix",),
    on_read=_read_role_policy,
    on_delete=_delete_role_policy,
)


def _attachment(api: Api, role: str, policy: str) -> Any:
    try:
        attached = api.pages("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=role)
    except AwsError as error:
        if error.code in GONE:
            return None
        raise
    return next((p for p in attached if p["PolicyArn"] == policy), None)


def _read_attachment(api: Api, identity: str, known: Properties) -> Properties | None:
    role, _, policy = identity.partition("/")
    return {"role": role, "policyArn": policy} if _attachment(api, role, policy) else None


def _detach(api: Api, identity: str, state: Properties) -> None:
    role, _, policy = identity.partition("/")
    api.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=policy)


ROLE_POLICY_ATTACHMENT = ResourceType(
    token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    create=Call("AttachRolePolicy", {"RoleName": "$role", "PolicyArn": "$policyArn"}),
    identity="{role}/{policyArn}",
    absent=GONE,
    replace=("role", "policyArn"),
    on_read=_read_attachment,
    on_delete=_detach,
)

TYPES = (ROLE, POLICY, ROLE_POLICY, ROLE_POLICY_ATTACHMENT)
