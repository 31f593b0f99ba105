"""The permission boundary of all roles of an environment: what none of them may do, whatever is attached to it later.

It allows the actions that the duties need and no others, and denies across all of them: rollouts and evidence by anybody
but the promotion role, handing that role on by anybody but the pipelines, changes in another account, jobs outside the
network or in clear text, models that may reach out, re-tagging into another environment, erasing the ledger.
"""

from __future__ import annotations

from typing import get_args

from infra.documents import Statement, deny, document, statement
from infra.duties import KeyArns, permissions
from infra.naming import Duty
from infra.site import Site

SIZE_LIMIT = 6144  # characters of a managed policy, white space not counted (IAM quotas)
_ROLLOUTS = ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"]
_CHANGES = [
    "dynamodb:*",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "iam:*",
    "kms:CreateGrant",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "s3:Delete*",
    "s3:Put*",
    "sagemaker:Create*",
    "sagemaker:Delete*",
    "sagemaker:Invoke*",
    "sagemaker:Start*",
    "sagemaker:Update*",
]


def boundary_document(site: Site) -> str:
    """The text of the boundary policy."""
    names = site.names
    here = names.account_id
    readable = [here, *([site.source.account_id] if site.source else [])]
    passable = [names.role_arn(duty) for duty in ("jobs", "serving", "promotion")]
    ledger = names.bucket_arn("ledger")
    approving = ["sagemaker:UpdateModelPackage", *(["sagemaker:CreateModelPackage"] if site.config.promotion.approval == "manual" else [])]
    return document(
        [
            statement("DutiesAtMost", duty_actions(site)),
            deny("NoEndpointDeletion", ["sagemaker:DeleteEndpoint"]),
            deny("RolloutsByPromotionAlone", _ROLLOUTS, condition={"ArnNotEquals": {"aws:PrincipalArn": names.role_arn("promotion")}}),
            deny("PeopleApprove", approving, condition={"StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}}),
            deny("NoChangesElsewhere", _CHANGES, condition={"StringNotEquals": {"aws:ResourceAccount": here}}),
            deny("NoReadsElsewhere", ["kms:*", "s3:*", "sagemaker:*"], condition={"StringNotEquals": {"aws:ResourceAccount": readable}}),
            deny(
                "NetworkAlways",
                ["sagemaker:CreateModel", "sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob"],
                condition={"Null": {"sagemaker:VpcSubnets": "true"}},
            ),
            # "IfExists" denies where the request says nothing, too.
            deny("ModelsIsolated", ["sagemaker:CreateModel"], condition={"BoolIfExists": {"sagemaker:NetworkIsolation": "false"}}),
            deny(
                "TrafficEncrypted",
                ["sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob"],
                condition={"BoolIfExists": {"sagemaker:InterContainerTrafficEncryption": "false"}},
            ),
            deny(
                "NoForeignTag",
                ["sagemaker:AddTags"],
                condition={
                    "ForAnyValue:StringEquals": {"aws:TagKeys": "environment"},
                    "StringNotEquals": {"aws:RequestTag/environment": names.environment},
                },
            ),
            deny("NoUntagging", ["sagemaker:DeleteTags"], condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "environment"}}),
            _pass_nothing_but(passable),
            deny(
                "PipelinesAlonePassPromotion",
                ["iam:PassRole"],
                names.role_arn("promotion"),
                condition={"ArnNotEquals": {"aws:PrincipalArn": names.role_arn("pipelines")}},
            ),
            deny(
                "EvidenceByPromotionAlone",
                ["dynamodb:PutItem", "s3:PutObject"],
                [names.journal_arn, f"{ledger}/*"],
                condition={"ArnNotEquals": {"aws:PrincipalArn": names.role_arn("promotion")}},
            ),
            deny("LedgerStays", ["s3:BypassGovernanceRetention", "s3:DeleteObject*", "s3:PutObjectRetention"], f"{ledger}/*"),
        ]
    )


def duty_actions(site: Site) -> list[str]:
    """All actions that any duty's policy allows, sorted."""
    arn = site.names.arn("kms", "key/any")
    keys = KeyArns(data=arn, artefacts=arn, ledger=arn, operations=arn)
    found: set[str] = set()
    for duty in get_args(Duty):
        for each in permissions(site, duty, keys):
            actions = each["Action"]
            found.update([actions] if isinstance(actions, str) else actions)
    return sorted(found)


def _pass_nothing_but(roles: list[str]) -> Statement:
    made = deny("PassDutiesAlone", ["iam:PassRole"])
    del made["Resource"]
    return {**made, "NotResource": roles}
