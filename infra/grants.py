"""Policies of resources: what the next environment's promotion role may read here, and nobody else; who writes evidence.

A grant names the next account as principal and that role's ARN as condition: a role that does not exist yet can't be a
principal. Where there is no next environment, the grant is absent and what stays is the deny of calls without TLS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from infra.documents import Condition, Statement, deny, deny_without_tls, document, service_principal, statement
from infra.naming import BucketPurpose, KeyPurpose, RepositoryPurpose
from infra.site import Site

# What a promotion reads of the environment before it: artefacts and the runs' evidence; what was released there.
READABLE_PREFIXES: dict[BucketPurpose, tuple[str, ...]] = {"artefacts": ("models", "runs"), "ledger": ("promotions", "releases")}
READ_PACKAGES = ("sagemaker:DescribeModelPackage",)
# Metadata of a package by which a person answers for it: who approved, who asked. The promotion code knows the same keys (approval.py).
SIGNATURES = ("approval-signed-by", "request-signed-by")
READ_IMAGES = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)


def bucket_policy(site: Site, purpose: BucketPurpose) -> str:
    """The policy of a bucket."""
    arn = site.names.bucket_arn(purpose)
    statements = [deny_without_tls("s3", [arn, f"{arn}/*"])]
    prefixes = READABLE_PREFIXES.get(purpose)
    if prefixes and site.target:
        statements.append(_grant(site, "NextEnvironmentReads", ["s3:GetObject"], [f"{arn}/{prefix}/*" for prefix in prefixes]))
        if purpose == "ledger":
            # Who may not list is denied what is not there: a candidate without evidence would pass for one without a grant.
            statements.append(_grant(site, "NextEnvironmentSeesAbsence", ["s3:ListBucket"], arn))
    if purpose == "ledger":
        statements.append(_promotion_alone_writes(site, arn))
    if purpose == "logs":
        statements.append(_access_logs(site, arn))
    return document(statements)


def key_policy(site: Site, purpose: KeyPurpose) -> str:
    """The policy of a customer key. The first statement is what lets IAM policies of the account count at all."""
    names = site.names
    statements = [
        statement("AccountAdministers", ["kms:*"], principal={"AWS": names.arn("iam", "root", region="")}),
    ]
    if purpose in READABLE_PREFIXES and site.target:
        via_s3: Condition = {"StringEquals": {"kms:ViaService": f"s3.{names.region}.amazonaws.com"}}
        statements.append(_grant(site, "NextEnvironmentDecrypts", ["kms:Decrypt"], "*", via_s3))
    if purpose == "operations":
        statements += _operating_services(site)
    return document(statements)


def repository_policy(site: Site, purpose: RepositoryPurpose) -> str:
    """The policy of an image repository. Such policies have no resource element."""
    statements = [deny_without_tls("ecr", None)]
    if purpose == "workload" and site.target:
        statements.append(_grant(site, "NextEnvironmentPulls", READ_IMAGES, None))
    return document(statements)


def package_group_policy(site: Site) -> str:
    """The policy of the model package group."""
    names = site.names
    statements = [deny_without_tls("sagemaker", [names.model_package_group_arn, names.model_package_arns]), *_signatures(site)]
    if site.target:
        statements.append(_grant(site, "NextEnvironmentReadsPackages", READ_PACKAGES, names.model_package_arns))
    return document(statements)


def _signatures(site: Site) -> list[Statement]:
    """Who approves signs, and nobody can write another's signature: its value must be the caller's own `aws:userid`."""
    names = site.names
    approval, request = (f"sagemaker:CustomerMetadataProperties/{key}" for key in SIGNATURES)

    def own(sid: str, key: str) -> Statement:
        condition: Condition = {"Null": {key: "false"}, "StringNotEquals": {key: "${aws:userid}"}}
        where = [names.model_package_group_arn, names.model_package_arns]
        return deny(sid, ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"], where, principal="*", condition=condition)

    unsigned: Condition = {"Null": {approval: "true"}, "StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}}
    return [
        deny("NoUnsignedApproval", ["sagemaker:UpdateModelPackage"], names.model_package_arns, principal="*", condition=unsigned),
        own("ApprovalIsOnesOwn", approval),
        own("RequestIsOnesOwn", request),
    ]


def topic_policy(site: Site) -> str:
    """The policy of the notifications topic: this account's alarms and events may publish."""
    arn = site.names.topic_arn
    return document(
        [
            deny_without_tls_to_topic(arn),
            *(
                statement(
                    f"{name.capitalize()}Publishes",
                    ["sns:Publish"],
                    arn,
                    principal=service_principal(name),
                    condition={"StringEquals": {"aws:SourceAccount": site.names.account_id}},
                )
                for name in ("cloudwatch", "events")
            ),
        ]
    )


def deny_without_tls_to_topic(arn: str) -> Statement:
    """SNS takes no service wildcard in a topic's policy; publishing is what travels."""
    return {**deny_without_tls("sns", arn), "Action": "sns:Publish"}


def _grant(
    site: Site, sid: str, actions: Sequence[str], resources: str | Iterable[str] | None, condition: Condition | None = None
) -> Statement:
    assert site.target is not None
    reader: dict[str, Any] = {"AWS": site.target.arn("iam", "root", region="")}
    only = {**(condition or {}), "ArnEquals": {"aws:PrincipalArn": site.target.role_arn("promotion")}}
    where = resources if resources is None or isinstance(resources, str) else list(resources)
    return statement(sid, list(actions), where, principal=reader, condition=only)


def _promotion_alone_writes(site: Site, arn: str) -> Statement:
    """Evidence decides what may be released next: whoever else may write objects in this account writes none here."""
    promotion: Condition = {"ArnNotEquals": {"aws:PrincipalArn": site.names.role_arn("promotion")}}
    return deny("PromotionAloneWrites", ["s3:PutObject", "s3:ReplicateObject"], f"{arn}/*", principal="*", condition=promotion)


def _access_logs(site: Site, arn: str) -> Statement:
    sources = [site.names.bucket_arn(purpose) for purpose in ("data", "artefacts", "capture", "ledger")]
    return statement(
        "AccessLogsArrive",
        ["s3:PutObject"],
        f"{arn}/access/*",
        principal=service_principal("logging.s3"),
        condition={"ArnLike": {"aws:SourceArn": sources}, "StringEquals": {"aws:SourceAccount": site.names.account_id}},
    )


def _operating_services(site: Site) -> list[Statement]:
    names, use = site.names, ["kms:Decrypt", "kms:GenerateDataKey*"]
    own: Condition = {"StringEquals": {"aws:SourceAccount": names.account_id}}
    return [
        statement(
            "LogsEncrypt",
            ["kms:Encrypt", *use, "kms:ReEncrypt*", "kms:DescribeKey"],
            principal=service_principal(f"logs.{names.region}"),
            condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": names.arn("logs", "log-group:*")}},
        ),
        statement("AlarmsNotify", use, principal=service_principal("cloudwatch"), condition=own),
        statement("EventsNotify", use, principal=service_principal("events"), condition=own),
    ]
