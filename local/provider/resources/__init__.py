"""The table: type token -> how the resource is made, read, changed and deleted. One file a family of services."""

from __future__ import annotations

from local.provider.resource import ResourceType
from local.provider.resources import (
    autoscaling,
    dynamodb,
    ec2,
    ecr,
    events,
    iam,
    kms,
    logs,
    metrics,
    s3,
    s3_objects,
    sagemaker,
    security_groups,
    sns,
    sqs,
)

_FAMILIES = (autoscaling, dynamodb, ec2, ecr, events, iam, kms, logs, metrics, s3, s3_objects, sagemaker, security_groups, sns, sqs)

TABLE: dict[str, ResourceType] = {kind.token: kind for family in _FAMILIES for kind in family.TYPES}
