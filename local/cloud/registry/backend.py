"""The registry's operations, by the API reference and spec of the model registry (section "Registry")."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from local.cloud import context
from local.cloud.aws_errors import CloudError, not_implemented
from local.cloud.registry.store import KEPT, STATUSES, Group, Package, Registry
from local.cloud.sagemaker.base import conflict, validation
from local.cloud.sagemaker.pages import page
from local.cloud.sagemaker.tags import TagOps


class RegistryOps(TagOps):
    """Model package groups and their versioned packages."""

    @cached_property
    def registry(self) -> Registry:
        return Registry()

    # Groups

    def create_group(self, request: dict[str, Any]) -> str:
        name = str(request["ModelPackageGroupName"])
        with self.lock:
            if name in self.registry.groups:
                raise validation(f"Model Package Group already exists: {self.arn('model-package-group', name)}")
            record: dict[str, Any] = {
                "ModelPackageGroupName": name,
                "ModelPackageGroupArn": self.arn("model-package-group", name),
                "ModelPackageGroupStatus": "Completed",
                "CreationTime": self.now(),
                "CreatedBy": who(),
            }
            if request.get("ModelPackageGroupDescription"):
                record["ModelPackageGroupDescription"] = request["ModelPackageGroupDescription"]
            group = self.registry.groups[name] = Group(record)
            self.set_tags(group.arn, request.get("Tags"))
            return group.arn

    def describe_group(self, name: str) -> dict[str, Any]:
        with self.lock:
            return dict(self.group(name).record)

    def delete_group(self, name: str) -> None:
        with self.lock:
            group = self.group(name)
            if group.packages:
                raise conflict("Model Package Group cannot be deleted as it still contains Model Packages.")
            self.drop_tags(group.arn)
            del self.registry.groups[group.record["ModelPackageGroupName"]]

    def list_groups(self, request: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            records = [{key: value for key, value in group.record.items() if key != "CreatedBy"} for group in self.registry.groups.values()]
        records = [
            record for record in records if _between(record, request) and request.get("NameContains", "") in record["ModelPackageGroupName"]
        ]
        return page("ModelPackageGroupSummaryList", records, request, {"Name": "ModelPackageGroupName", "CreationTime": "CreationTime"})

    def put_group_policy(self, name: str, policy: str) -> str:
        try:
            document = json.loads(policy)
        except ValueError:
            raise validation("Resource policy is not valid JSON.") from None
        if not isinstance(document, dict) or not document.get("Statement"):
            raise validation("Resource policy has no statement.")
        with self.lock:
            group = self.group(name)
            group.policy = policy
            return group.arn

    def get_group_policy(self, name: str) -> str:
        with self.lock:
            group = self.group(name)
            if group.policy is None:
                raise validation(f"Cannot find resource policy for: {group.arn}")
            return group.policy

    def delete_group_policy(self, name: str) -> None:
        with self.lock:
            group = self.group(name)
            if group.policy is None:
                raise validation(f"Cannot find resource policy for: {group.arn}")
            group.policy = None

    def group(self, name_or_arn: str) -> Group:
        """A group by name or ARN; call it with the lock held."""
        name = name_or_arn.rsplit("/", 1)[-1]
        found = self.registry.groups.get(name)
        if found is None:
            raise validation(f"ModelPackageGroup {self.arn('model-package-group', name)} does not exist.")
        return found

    # Packages

    def create_package(self, request: dict[str, Any]) -> str:
        if request.get("ModelPackageName"):
            raise not_implemented("sagemaker", "CreateModelPackage of an unversioned package")
        if not request.get("ModelPackageGroupName"):
            raise validation("Either ModelPackageName or ModelPackageGroupName must be provided.")
        if request.get("Tags"):
            raise validation("Tags cannot be set on a versioned model package; they are inherited from the model package group.")
        status = _status(request.get("ModelApprovalStatus", "PendingManualApproval"))
        asked = {key: value for key, value in request.items() if key != "ClientToken"}
        token = request.get("ClientToken")
        with self.lock:
            group = self.group(str(request["ModelPackageGroupName"]))
            known = next((package for package in group.packages.values() if token and package.token == token), None)
            if known is not None:
                if known.request != asked:
                    raise conflict(f"ClientToken {token} was used before with other parameters.")
                return known.arn
            group.last_version += 1
            name = group.record["ModelPackageGroupName"]
            record: dict[str, Any] = {
                "ModelPackageGroupName": name,
                "ModelPackageVersion": group.last_version,
                "ModelPackageArn": self.arn("model-package", f"{name}/{group.last_version}"),
                "ModelPackageRegistrationType": "Registered",
                "CreationTime": self.now(),
                "CreatedBy": who(),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CertifyForMarketplace": bool(request.get("CertifyForMarketplace", False)),
                "ModelApprovalStatus": status,
                **{key: request[key] for key in KEPT if key in request},
            }
            if request.get("CustomerMetadataProperties"):
                record["CustomerMetadataProperties"] = _metadata(request["CustomerMetadataProperties"])
            package = group.packages[group.last_version] = Package(record, token, asked)
        self._tell(package, [])
        return package.arn

    def update_package(self, request: dict[str, Any]) -> str:
        with self.lock:
            package = self.package(str(request["ModelPackageArn"]))
            record = package.describe()
            for key in ("ApprovalDescription", "ModelLifeCycle", "InferenceSpecification", "SourceUri", "ModelCard"):
                if key in request:
                    record[key] = request[key]
            if "ModelApprovalStatus" in request:
                record["ModelApprovalStatus"] = _status(request["ModelApprovalStatus"])
            metadata = {**record.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
            for key in request.get("CustomerMetadataPropertiesToRemove", []):
                metadata.pop(key, None)
            if metadata or "CustomerMetadataProperties" in record:
                record["CustomerMetadataProperties"] = _metadata(metadata)
            if request.get("AdditionalInferenceSpecificationsToAdd"):
                record["AdditionalInferenceSpecifications"] = [
                    *record.get("AdditionalInferenceSpecifications", []),
                    *request["AdditionalInferenceSpecificationsToAdd"],
                ]
            changed = [key for key in record if record[key] != package.record.get(key)]
            record.update({"LastModifiedTime": self.now(), "LastModifiedBy": who()})
            package.record = record
        self._tell(package, changed)
        return package.arn

    def describe_package(self, name: str) -> dict[str, Any]:
        with self.lock:
            return self.package(name).describe()

    def delete_package(self, name: str) -> None:
        with self.lock:
            package = self.package(name)
            del self.registry.groups[package.record["ModelPackageGroupName"]].packages[package.version]

    def list_packages(self, request: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if request.get("ModelPackageGroupName"):
                packages = list(self.group(str(request["ModelPackageGroupName"])).packages.values())
            elif request.get("ModelPackageType", "Unversioned") == "Unversioned":
                packages = []
            else:
                packages = [package for group in self.registry.groups.values() for package in group.packages.values()]
            records = [package.summary() for package in packages]
        approval = request.get("ModelApprovalStatus")
        records = [
            record
            for record in records
            if _between(record, request)
            and (approval is None or record["ModelApprovalStatus"] == approval)
            and request.get("NameContains", "") in record["ModelPackageGroupName"]
        ]
        return page(
            "ModelPackageSummaryList",
            records,
            request,
            {"Name": "ModelPackageGroupName", "CreationTime": "CreationTime"},
            tie="ModelPackageVersion",
        )

    def package(self, name_or_arn: str) -> Package:
        """A versioned package by ARN or group/version; call it with the lock held."""
        parts = name_or_arn.split(":")[-1].split("/")
        if len(parts) in (2, 3) and parts[-1].isdigit():
            group = self.registry.groups.get(parts[-2])
            package = group.packages.get(int(parts[-1])) if group else None
            if package is not None:
                return package
        raise validation(f"ModelPackage {name_or_arn} does not exist.")

    def _tags(self, arn: str) -> dict[str, str]:
        """A version has its group's tags."""
        if ":model-package/" in arn:
            return dict(self.tags_by_arn[self.group(self.package(arn).record["ModelPackageGroupName"]).arn])
        return super()._tags(arn)

    def _tell(self, package: Package, changed: list[str]) -> None:
        """The event that AWS sends of every new state of a package."""
        detail = json.loads(json.dumps(package.describe(), default=lambda value: int(value.timestamp() * 1000)))
        detail["UpdatedModelPackageFields"] = changed
        self.cloud.events.put(
            self.account_id, self.region_name, "aws.sagemaker", "SageMaker Model Package State Change", detail, [package.arn]
        )


def who() -> dict[str, Any]:
    """CreatedBy and LastModifiedBy of what a role or user does outside of a Studio domain."""
    caller = context.caller()
    source = {"SourceIdentity": caller.source_identity} if caller.source_identity else {}
    return {"IamIdentity": {"Arn": caller.arn, "PrincipalId": caller.user_id, **source}}


def _status(value: str) -> str:
    if value not in STATUSES:
        raise CloudError(
            "ValidationException",
            f"1 validation error detected: Value '{value}' at 'modelApprovalStatus' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(STATUSES)}]",
        )
    return value


def _metadata(values: dict[str, str]) -> dict[str, str]:
    """At most 50 entries, keys of 1 to 128 characters, values of 1 to 256 (botocore's model)."""
    if len(values) > 50:
        raise validation("CustomerMetadataProperties: at most 50 entries are allowed.")
    for key, value in values.items():
        if not 1 <= len(key) <= 128 or not 1 <= len(value) <= 256:
            raise validation(f"CustomerMetadataProperties: the key has 1 to 128 characters and the value 1 to 256; {key!r} breaks that.")
    return dict(values)


def _between(record: dict[str, Any], request: dict[str, Any]) -> bool:
    created = record["CreationTime"].timestamp()
    after, before = request.get("CreationTimeAfter"), request.get("CreationTimeBefore")
    return (after is None or created > _epoch(after)) and (before is None or created < _epoch(before))


def _epoch(moment: Any) -> float:
    if hasattr(moment, "timestamp"):
        from datetime import UTC

        return float((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return float(moment)
