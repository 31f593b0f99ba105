"""Who deploys: a role for CI, taken on by OIDC, without a stored key, for one environment alone.

It can make and change what an environment consists of. It can't move traffic: it makes an endpoint where there is none, and neither
updates nor deletes one. Nor can it become the promotion role, which can, or a role that hands that one on: it doesn't pass it to a service,
and of no role that exists it says who may assume it, or makes it anew. Roles that it makes carry the environment's permission boundary,
which it may make once and not change; its own role, the state's key and evidence are out of its reach. What it deploys, the definitions of
pipelines among it, runs under the environment's roles: about those decides who may merge.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from botocore.exceptions import ClientError

from infra.naming import PROJECT, Duty, Names, physical_name
from lockstep.bootstrap.item import Item, State
from lockstep.bootstrap.state import state_alias, state_bucket, tags

if TYPE_CHECKING:
    import boto3

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
POLICY_NAME = "one-environment"
# What roles of an environment are handed to: its jobs and models, the rule that starts a release, the network's flow logs.
_SERVICES = ["events.amazonaws.com", "sagemaker.amazonaws.com", "vpc-flow-logs.amazonaws.com"]
# Who may assume a role is said when it is made. A role that could be deleted could be made again, and say otherwise.
_RETRUST = ["iam:DeleteRole", "iam:UpdateAssumeRolePolicy"]
_TRAFFIC = ["sagemaker:DeleteEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"]
_EVIDENCE = ["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject", "s3:PutObjectRetention"]
_EVIDENCE += ["s3:ReplicateObject"]
_JOURNAL = [
    f"dynamodb:{name}"
    for name in (
        "BatchWriteItem",
        "DeleteItem",
        "DeleteTable",
        "PartiQLDelete",
        "PartiQLInsert",
        "PartiQLUpdate",
        "PutItem",
        "PutResourcePolicy",
        "UpdateItem",
    )
]
_STATE = [
    f"s3:{name}"
    for name in (
        "DeleteBucket",
        "DeleteBucketPolicy",
        "DeleteObjectVersion",
        "PutBucketPolicy",
        "PutBucketPublicAccessBlock",
        "PutBucketVersioning",
        "PutEncryptionConfiguration",
        "PutLifecycleConfiguration",
    )
]
_WEAKEN = ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"]
DEPLOY_POLICY = "arn:{partition}:iam::aws:policy/PowerUserAccess"


def ci_role(names: Names) -> str:
    """The name of the role that CI takes on to deploy this environment."""
    return physical_name(PROJECT, names.environment, "ci", limit=64)


def items(session: boto3.Session, names: Names, repository: str) -> list[Item]:
    """The OIDC provider of the account, and the CI role.

    Args:
        repository: on GitHub, `owner/name`.
    """
    return [
        Item(
            provider_arn(names),
            "GitHub's identity provider",
            lambda: _look_provider(session, names),
            lambda: _make_provider(session, names),
        ),
        Item(
            names.arn("iam", f"role/{ci_role(names)}", region=""),
            f"role of CI, for {repository} in the GitHub environment {names.environment}",
            lambda: _look_role(session, names, repository),
            lambda: _make_role(session, names, repository),
        ),
    ]


def provider_arn(names: Names) -> str:
    return names.arn("iam", f"oidc-provider/{ISSUER}", region="")


def trust(names: Names, repository: str) -> dict[str, Any]:
    """Who may take the role on: jobs of one repository that run in the GitHub environment of the same name, which has its own approvals."""
    condition = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": f"repo:{repository}:environment:{names.environment}"}
    statement = {"Effect": "Allow", "Principal": {"Federated": provider_arn(names)}, "Action": "sts:AssumeRoleWithWebIdentity"}
    return {"Version": "2012-10-17", "Statement": [{**statement, "Condition": {"StringEquals": condition}}]}


def rights(names: Names) -> dict[str, Any]:
    """What the role may do about identities, and what it may never do. PowerUserAccess, which leaves out IAM, gives the rest."""
    own = names.arn("iam", f"role/{ci_role(names)}", region="")
    roles = names.arn("iam", f"role/{physical_name(PROJECT, names.environment, limit=60)}-*", region="")
    policies = names.arn("iam", f"policy/{physical_name(PROJECT, names.environment, limit=60)}-*", region="")
    bucket = names.arn("s3", state_bucket(names), region="", account_id="")
    ledger = names.bucket_arn("ledger")
    bounded = {"StringEquals": {"iam:PermissionsBoundary": names.boundary_arn}}
    change = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePolicy"]
    manage = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole"]
    manage += ["iam:ListRolePolicies", "iam:ListRoleTags", "iam:TagRole", "iam:UntagRole", "iam:UpdateRole"]
    managed = ["iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:GetPolicy"]
    managed += ["iam:GetPolicyVersion", "iam:ListPolicyVersions", "iam:TagPolicy", "iam:UntagPolicy"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement("BoundedRoles", "Allow", change, roles, bounded),
            _statement("OwnRoles", "Allow", manage, roles),
            _statement("PassesOwnRoles", "Allow", ["iam:PassRole"], roles, {"StringEquals": {"iam:PassedToService": _SERVICES}}),
            _statement("OwnPolicies", "Allow", managed, policies),
            _statement("NotItself", "Deny", [*change, *_RETRUST, "iam:PassRole"], own),
            _statement("TrustStays", "Deny", _RETRUST, [roles, *(names.role_arn(duty) for duty in get_args(Duty))]),
            _statement("NotThePromotion", "Deny", ["iam:PassRole"], names.role_arn("promotion")),
            _statement("BoundaryStays", "Deny", _WEAKEN, names.boundary_arn),
            _statement("KeepsBoundaries", "Deny", ["iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"], "*"),
            _statement("NoTraffic", "Deny", _TRAFFIC, "*"),
            _statement("NoEvidence", "Deny", _EVIDENCE, f"{ledger}/*"),
            _statement("LedgerStays", "Deny", ["s3:DeleteBucket", "s3:DeleteBucketPolicy"], ledger),
            _statement("NoJournal", "Deny", _JOURNAL, names.journal_arn),
            _statement("StateStays", "Deny", _STATE, [bucket, f"{bucket}/*"]),
            # The key is known by its alias: one that could be moved would leave the next statement without a key.
            _statement("StateAliasStays", "Deny", ["kms:DeleteAlias", "kms:UpdateAlias"], names.arn("kms", state_alias(names))),
            _statement(
                "StateKeyStays",
                "Deny",
                ["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"],
                "*",
                {"ForAnyValue:StringEquals": {"kms:ResourceAliases": state_alias(names)}},
            ),
        ],
    }


def _statement(
    sid: str, effect: str, actions: list[str], resource: str | list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": effect, "Action": sorted(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def _look_provider(session: boto3.Session, names: Names) -> State:
    try:
        found = session.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=provider_arn(names))
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return "absent"
    return "present" if AUDIENCE in found["ClientIDList"] else "differs"


def _make_provider(session: boto3.Session, names: Names) -> None:
    iam = session.client("iam")
    if _look_provider(session, names) == "absent":
        # AWS knows GitHub's certificate authority itself; a thumbprint is no longer needed.
        iam.create_open_id_connect_provider(Url=f"https://{ISSUER}", ClientIDList=[AUDIENCE])
    else:
        iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=provider_arn(names), ClientID=AUDIENCE)


def _look_role(session: boto3.Session, names: Names, repository: str) -> State:
    iam, name = session.client("iam"), ci_role(names)
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return "absent"
    attached = {policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]}
    try:
        inline = iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return "differs"
    wanted = (
        role["AssumeRolePolicyDocument"] == trust(names, repository) and inline == rights(names) and attached == {_deploy_policy(names)}
    )
    return "present" if wanted else "differs"


def _deploy_policy(names: Names) -> str:
    return DEPLOY_POLICY.format(partition=names.partition)


def _make_role(session: boto3.Session, names: Names, repository: str) -> None:
    iam, name = session.client("iam"), ci_role(names)
    document = json.dumps(trust(names, repository))
    if _look_role(session, names, repository) == "absent":
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=document,
            Description=f"CI of {repository}, for {PROJECT} {names.environment} alone",
            Tags=[{"Key": k, "Value": v} for k, v in tags(names).items()],
        )
    else:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    iam.put_role_policy(RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(rights(names)))
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        if policy["PolicyArn"] != _deploy_policy(names):
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.attach_role_policy(RoleName=name, PolicyArn=_deploy_policy(names))
