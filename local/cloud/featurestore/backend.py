"""Feature groups: what they are made of, checked as the API reference says; a Glue table where one is asked for."""

from __future__ import annotations

import copy
import re
from functools import cached_property
from typing import Any

from local.cloud.aws_errors import CloudError
from local.cloud.sagemaker.base import not_found, resource_in_use, validation
from local.cloud.sagemaker.pages import page
from local.cloud.sagemaker.tags import TagOps

_NAME = re.compile(r"[a-zA-Z0-9]([_-]*[a-zA-Z0-9]){0,63}")
_RESERVED = {"is_deleted", "write_time", "api_invocation_time"}
_GLUE_TYPES = {"String": "string", "Integral": "bigint", "Fractional": "double"}


class FeatureGroupOps(TagOps):
    """CreateFeatureGroup and its kin."""

    @cached_property
    def groups_of_features(self) -> dict[str, dict[str, Any]]:
        return {}

    def create_features(self, request: dict[str, Any]) -> str:
        name = str(request["FeatureGroupName"])
        if not _NAME.fullmatch(name):
            raise validation(f"FeatureGroupName {name!r} must match {_NAME.pattern}.")
        _check_features(request)
        arn = self.arn("feature-group", name.lower())
        with self.lock:
            if name in self.groups_of_features:
                raise resource_in_use(f"Resource Already Exists: FeatureGroup with name {name} already exists. Choose a different name.")
            record = {key: copy.deepcopy(value) for key, value in request.items() if key != "Tags"}
            record.update({"FeatureGroupArn": arn, "CreationTime": self.now(), "FeatureGroupStatus": "Created"})
            if "OnlineStoreConfig" in record:
                record["OnlineStoreConfig"].setdefault("EnableOnlineStore", False)
            if "OfflineStoreConfig" in record:
                record["OfflineStoreStatus"] = {"Status": "Active"}
                self._resolve_offline_store(name, record)
            self.groups_of_features[name] = record
            self.set_tags(arn, request.get("Tags"))
        return arn

    def describe_features(self, name: str) -> dict[str, Any]:
        with self.lock:
            return copy.deepcopy(self._features(name))

    def update_features(self, request: dict[str, Any]) -> str:
        """Features can be added; the online store's time to live and the throughput can change; nothing can be taken away."""
        with self.lock:
            record = self._features(str(request["FeatureGroupName"]))
            added = request.get("FeatureAdditions", [])
            _check_features({**record, "FeatureDefinitions": [*record["FeatureDefinitions"], *added]})
            record["FeatureDefinitions"] = [*record["FeatureDefinitions"], *added]
            if "OnlineStoreConfig" in request:
                if "OnlineStoreConfig" not in record:
                    raise validation("The feature group has no online store to update.")
                record["OnlineStoreConfig"] = {**record["OnlineStoreConfig"], **request["OnlineStoreConfig"]}
            if "ThroughputConfig" in request:
                record["ThroughputConfig"] = request["ThroughputConfig"]
            record["LastModifiedTime"] = self.now()
            record["LastUpdateStatus"] = {"Status": "Successful"}
            return str(record["FeatureGroupArn"])

    def delete_features(self, name: str) -> None:
        with self.lock:
            record = self._features(name)
            del self.groups_of_features[record["FeatureGroupName"]]
            self.drop_tags(record["FeatureGroupArn"])

    def list_features(self, request: dict[str, Any]) -> dict[str, Any]:
        members = ("FeatureGroupName", "FeatureGroupArn", "CreationTime", "FeatureGroupStatus", "OfflineStoreStatus")
        with self.lock:
            records = [{key: record[key] for key in members if key in record} for record in self.groups_of_features.values()]
        status = request.get("FeatureGroupStatusEquals")
        records = [
            record
            for record in records
            if request.get("NameContains", "") in record["FeatureGroupName"] and (status is None or record["FeatureGroupStatus"] == status)
        ]
        return page("FeatureGroupSummaries", records, request, {"Name": "FeatureGroupName", "CreationTime": "CreationTime"})

    def _features(self, name_or_arn: str) -> dict[str, Any]:
        name = name_or_arn.rsplit("/", 1)[-1]
        for held, record in self.groups_of_features.items():
            if name == held or (name_or_arn.startswith("arn:") and name == held.lower()):
                return record
        raise not_found(f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}.")

    def _resolve_offline_store(self, name: str, record: dict[str, Any]) -> None:
        store = record["OfflineStoreConfig"]
        storage = store["S3StorageConfig"]
        stamp = int(self.cloud.clock.time())
        storage["ResolvedOutputS3Uri"] = (
            f"{storage['S3Uri'].rstrip('/')}/{self.account_id}/sagemaker/{self.region_name}/offline-store/{name}-{stamp}/data"
        )
        store.setdefault("TableFormat", "Glue")
        store.setdefault("DisableGlueTableCreation", False)
        if store["DisableGlueTableCreation"]:
            return
        store["DataCatalogConfig"] = {
            "TableName": f"{name}_{stamp}".lower(),
            "Catalog": "AwsDataCatalog",
            "Database": "sagemaker_featurestore",
        }
        self._make_table(store["DataCatalogConfig"], record)

    def _make_table(self, place: dict[str, str], record: dict[str, Any]) -> None:
        from moto.glue.models import glue_backends

        glue = glue_backends[self.account_id][self.region_name]
        if place["Database"] not in glue.databases:
            glue.create_database(place["Database"], {"Name": place["Database"]})
        columns = [
            {"Name": feature["FeatureName"].lower(), "Type": _GLUE_TYPES[feature["FeatureType"]]}
            for feature in record["FeatureDefinitions"]
        ]
        added = [
            {"Name": "write_time", "Type": "timestamp"},
            {"Name": "api_invocation_time", "Type": "timestamp"},
            {"Name": "is_deleted", "Type": "boolean"},
        ]
        location = record["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
        table = {
            "Name": place["TableName"],
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {"Columns": [*columns, *added], "Location": location},
            "PartitionKeys": [{"Name": part, "Type": "string"} for part in ("year", "month", "day", "hour")],
        }
        glue.create_table(place["Database"], place["TableName"], table)


def _check_features(request: dict[str, Any]) -> None:
    if "OnlineStoreConfig" not in request and "OfflineStoreConfig" not in request:
        raise validation("At least one of OnlineStoreConfig and OfflineStoreConfig must be given.")
    if "OfflineStoreConfig" in request and not request.get("RoleArn"):
        raise validation("RoleArn is required with an offline store.")
    definitions = {feature["FeatureName"]: feature["FeatureType"] for feature in request["FeatureDefinitions"]}
    if len(definitions) != len(request["FeatureDefinitions"]):
        raise validation("Feature names must be unique.")
    for name, kind in definitions.items():
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise validation(f"FeatureName {name!r} is reserved or does not match {_NAME.pattern}.")
        if kind not in _GLUE_TYPES:
            raise CloudError("ValidationException", f"FeatureType {kind!r} of {name!r} must be one of Integral, Fractional, String.")
    for member, types in (("RecordIdentifierFeatureName", set(_GLUE_TYPES)), ("EventTimeFeatureName", {"String", "Fractional"})):
        if definitions.get(request[member]) not in types:
            raise validation(f"{member} {request[member]!r} must be among FeatureDefinitions, of type {' or '.join(sorted(types))}.")
