"""What the registry of one account and region holds."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

STATUSES = ("Approved", "Rejected", "PendingManualApproval")

# Members of CreateModelPackage that a package keeps as they were given.
KEPT = (
    "ModelPackageDescription",
    "InferenceSpecification",
    "SourceAlgorithmSpecification",
    "ValidationSpecification",
    "MetadataProperties",
    "ModelMetrics",
    "DriftCheckBaselines",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "AdditionalInferenceSpecifications",
    "SkipModelValidation",
    "SourceUri",
    "SecurityConfig",
    "ModelCard",
    "ModelLifeCycle",
    "ManagedStorageType",
)

SUMMARY = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)


@dataclass(slots=True)
class Package:
    """One version of a group's model. `record` has the members of DescribeModelPackage."""

    record: dict[str, Any]
    token: str | None
    request: dict[str, Any]

    @property
    def arn(self) -> str:
        return str(self.record["ModelPackageArn"])

    @property
    def version(self) -> int:
        return int(self.record["ModelPackageVersion"])

    @property
    def created(self) -> datetime:
        return self.record["CreationTime"]  # type: ignore[no-any-return]

    def describe(self) -> dict[str, Any]:
        return copy.deepcopy(self.record)

    def summary(self) -> dict[str, Any]:
        return {name: copy.deepcopy(self.record[name]) for name in SUMMARY if name in self.record}


@dataclass(slots=True)
class Group:
    """A model package group. Version numbers are never given twice."""

    record: dict[str, Any]
    policy: str | None = None
    packages: dict[int, Package] = field(default_factory=dict)
    last_version: int = 0

    @property
    def arn(self) -> str:
        return str(self.record["ModelPackageGroupArn"])


@dataclass(slots=True)
class Registry:
    """Groups by name, and the tags of everything that keeps its tags here."""

    groups: dict[str, Group] = field(default_factory=dict)
