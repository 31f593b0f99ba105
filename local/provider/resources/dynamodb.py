"""Tables."""

from __future__ import annotations

from typing import Any

from local.provider.api import Api
from local.provider.errors import ProviderError
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Tags

_GONE = ("ResourceNotFoundException",)
_MINUTES_OF_PATIENCE = 20


def _attributes(inputs: Properties) -> list[dict[str, str]]:
    return [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in inputs.get("attributes") or []]


def _keys(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    made = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return [*made, {"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else made


def _encryption(inputs: Properties) -> dict[str, Any]:
    block = inputs.get("serverSideEncryption") or {}
    made: dict[str, Any] = {"Enabled": bool(block.get("enabled"))}
    if made["Enabled"]:
        made["SSEType"] = "KMS"
        if block.get("kmsKeyArn"):
            made["KMSMasterKeyId"] = block["kmsKeyArn"]
    return made


def _index(block: Properties, inputs: Properties, *, throughput: bool) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": block["projectionType"]}
    if block.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = block["nonKeyAttributes"]
    hash_key = block.get("hashKey") or inputs["hashKey"]
    made = {"IndexName": block["name"], "KeySchema": _keys(hash_key, block.get("rangeKey")), "Projection": projection}
    if throughput and inputs.get("billingMode") != "PAY_PER_REQUEST":
        made["ProvisionedThroughput"] = _throughput(block)
    return made


def _throughput(block: Properties) -> dict[str, int]:
    return {"ReadCapacityUnits": int(block.get("readCapacity") or 1), "WriteCapacityUnits": int(block.get("writeCapacity") or 1)}


def _create(api: Api, inputs: Properties) -> str:
    if not inputs.get("hashKey"):
        raise ProviderError("hashKey is required")
    params: dict[str, Any] = {
        "TableName": inputs["name"],
        "AttributeDefinitions": _attributes(inputs),
        "KeySchema": _keys(inputs["hashKey"], inputs.get("rangeKey")),
        "BillingMode": inputs.get("billingMode", "PROVISIONED"),
        "DeletionProtectionEnabled": bool(inputs.get("deletionProtectionEnabled")),
    }
    if params["BillingMode"] == "PROVISIONED":
        params["ProvisionedThroughput"] = _throughput(inputs)
    if (inputs.get("serverSideEncryption") or {}).get("enabled"):
        params["SSESpecification"] = _encryption(inputs)
    if inputs.get("tableClass"):
        params["TableClass"] = inputs["tableClass"]
    if inputs.get("streamEnabled"):
        params["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": inputs.get("streamViewType")}
    if inputs.get("globalSecondaryIndexes"):
        params["GlobalSecondaryIndexes"] = [_index(i, inputs, throughput=True) for i in inputs["globalSecondaryIndexes"]]
    if inputs.get("localSecondaryIndexes"):
        params["LocalSecondaryIndexes"] = [_index(i, inputs, throughput=False) for i in inputs["localSecondaryIndexes"]]
    if inputs.get("tagsAll"):
        params["Tags"] = [{"Key": k, "Value": v} for k, v in sorted(inputs["tagsAll"].items())]
    api.call("dynamodb", "CreateTable", **params)
    return str(inputs["name"])


def _complete(api: Api, name: str, inputs: Properties) -> None:
    _settled(api, name)
    if (inputs.get("pointInTimeRecovery") or {}).get("enabled"):
        _recovery(api, name, inputs)
    if (inputs.get("ttl") or {}).get("enabled"):
        _expiry(api, name, inputs["ttl"])


def _settled(api: Api, name: str) -> None:
    def active() -> bool:
        return bool(api.call("dynamodb", "DescribeTable", TableName=name)["Table"]["TableStatus"] == "ACTIVE")

    api.wait(active, 60 * _MINUTES_OF_PATIENCE, f"the table {name} to be ACTIVE")


def _recovery(api: Api, name: str, inputs: Properties) -> None:
    block = inputs.get("pointInTimeRecovery") or {}
    wanted: dict[str, Any] = {"PointInTimeRecoveryEnabled": bool(block.get("enabled"))}
    if block.get("recoveryPeriodInDays") and wanted["PointInTimeRecoveryEnabled"]:
        wanted["RecoveryPeriodInDays"] = int(block["recoveryPeriodInDays"])
    api.call("dynamodb", "UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=wanted)


def _expiry(api: Api, name: str, block: Properties) -> None:
    wanted = {"Enabled": bool(block.get("enabled")), "AttributeName": block.get("attributeName")}
    api.call("dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=wanted)


def _read(api: Api, identity: str, known: Properties) -> Properties | None:
    found = api.try_call("dynamodb", "DescribeTable", _GONE, TableName=identity)
    if found is None or found["Table"].get("TableStatus") == "DELETING":
        return None
    table = found["Table"]
    keys = {k["KeyType"]: k["AttributeName"] for k in table["KeySchema"]}
    encryption = table.get("SSEDescription") or {}
    backups = api.call("dynamodb", "DescribeContinuousBackups", TableName=identity)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription") or {}
    expiry = api.call("dynamodb", "DescribeTimeToLive", TableName=identity).get("TimeToLiveDescription") or {}
    stream = table.get("StreamSpecification") or {}
    throughput = table.get("ProvisionedThroughput") or {}
    state: Properties = {
        "name": table["TableName"],
        "arn": table["TableArn"],
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE"),
        "attributes": [{"name": a["AttributeName"], "type": a["AttributeType"]} for a in table["AttributeDefinitions"]],
        "billingMode": (table.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED"),
        "deletionProtectionEnabled": bool(table.get("DeletionProtectionEnabled")),
        "tableClass": (table.get("TableClassSummary") or {}).get("TableClass", "STANDARD"),
        "readCapacity": throughput.get("ReadCapacityUnits") or None,
        "writeCapacity": throughput.get("WriteCapacityUnits") or None,
        "pointInTimeRecovery": {"enabled": recovery.get("PointInTimeRecoveryStatus") == "ENABLED"},
        "streamEnabled": bool(stream.get("StreamEnabled")),
        "streamViewType": stream.get("StreamViewType"),
        "streamArn": table.get("LatestStreamArn"),
        "streamLabel": table.get("LatestStreamLabel"),
        "ttl": {"enabled": expiry.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"), "attributeName": expiry.get("AttributeName")},
        "globalSecondaryIndexes": [_found_index(i) for i in table.get("GlobalSecondaryIndexes") or []],
        "localSecondaryIndexes": [_found_index(i) for i in table.get("LocalSecondaryIndexes") or []],
    }
    if recovery.get("RecoveryPeriodInDays"):
        state["pointInTimeRecovery"]["recoveryPeriodInDays"] = recovery["RecoveryPeriodInDays"]
    if encryption.get("Status") in ("ENABLED", "ENABLING", "UPDATING"):
        state["serverSideEncryption"] = {"enabled": True, "kmsKeyArn": encryption.get("KMSMasterKeyArn")}
    return state


def _found_index(index: dict[str, Any]) -> Properties:
    keys = {k["KeyType"]: k["AttributeName"] for k in index["KeySchema"]}
    made = {"name": index["IndexName"], "hashKey": keys["HASH"], "projectionType": index["Projection"]["ProjectionType"]}
    if "RANGE" in keys:
        made["rangeKey"] = keys["RANGE"]
    if index["Projection"].get("NonKeyAttributes"):
        made["nonKeyAttributes"] = index["Projection"]["NonKeyAttributes"]
    return made


def _update(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    params: dict[str, Any] = {}
    if changed & {"billingMode", "readCapacity", "writeCapacity"}:
        params["BillingMode"] = new.get("billingMode", "PROVISIONED")
        if params["BillingMode"] == "PROVISIONED":
            params["ProvisionedThroughput"] = _throughput(new)
    if "deletionProtectionEnabled" in changed:
        params["DeletionProtectionEnabled"] = bool(new.get("deletionProtectionEnabled"))
    if "tableClass" in changed and new.get("tableClass"):
        params["TableClass"] = new["tableClass"]
    if "serverSideEncryption" in changed:
        params["SSESpecification"] = _encryption(new)
    if changed & {"streamEnabled", "streamViewType"}:
        view = {"StreamViewType": new["streamViewType"]} if new.get("streamEnabled") else {}
        params["StreamSpecification"] = {"StreamEnabled": bool(new.get("streamEnabled")), **view}
    for name, value in params.items():
        if name == "ProvisionedThroughput":
            continue
        extra = (
            {"ProvisionedThroughput": params["ProvisionedThroughput"]}
            if name == "BillingMode" and "ProvisionedThroughput" in params
            else {}
        )
        api.call("dynamodb", "UpdateTable", TableName=identity, **{name: value}, **extra)  # one kind of change a call
        _settled(api, identity)
    if "globalSecondaryIndexes" in changed:
        _update_indexes(api, identity, old, new)
    if "pointInTimeRecovery" in changed:
        _recovery(api, identity, new)
    if "ttl" in changed:
        block = new.get("ttl") or {"enabled": False, "attributeName": (old.get("ttl") or {}).get("attributeName")}
        _expiry(api, identity, block)


def _update_indexes(api: Api, identity: str, old: Properties, new: Properties) -> None:
    before = {i["name"]: i for i in old.get("globalSecondaryIndexes") or []}
    after = {i["name"]: i for i in new.get("globalSecondaryIndexes") or []}
    gone = [n for n in before if n not in after]
    for name in gone:
        _change_index(api, identity, {"Delete": {"IndexName": name}}, new)
    for name, block in after.items():
        if name not in before:
            _change_index(api, identity, {"Create": _index(block, new, throughput=True)}, new)


def _change_index(api: Api, identity: str, change: dict[str, Any], new: Properties) -> None:
    attributes = {"AttributeDefinitions": _attributes(new)} if "Create" in change else {}
    api.call("dynamodb", "UpdateTable", TableName=identity, GlobalSecondaryIndexUpdates=[change], **attributes)
    _settled(api, identity)


def _delete(api: Api, identity: str, state: Properties) -> None:
    api.call("dynamodb", "DeleteTable", TableName=identity)

    def gone() -> bool:
        return api.try_call("dynamodb", "DescribeTable", _GONE, TableName=identity) is None

    api.wait(gone, 60 * _MINUTES_OF_PATIENCE, f"the end of the table {identity}")


_LOCAL = (
    "attributes",
    "hashKey",
    "rangeKey",
    "readCapacity",
    "writeCapacity",
    "pointInTimeRecovery",
    "serverSideEncryption",
    "streamEnabled",
    "streamViewType",
    "ttl",
    "globalSecondaryIndexes",
    "localSecondaryIndexes",
)


def _check(inputs: Properties, problems: Any) -> None:
    """Each attribute is a key of the table or of an index, and the other way round, as AWS asks."""
    attributes, hash_key = inputs.get("attributes"), inputs.get("hashKey")
    if hash_key is None:
        problems.add("hashKey", "is required and missing")
    if not isinstance(attributes, list) or not all(isinstance(a, dict) and isinstance(a.get("name"), str) for a in attributes):
        return
    blocks = [inputs, *(inputs.get("globalSecondaryIndexes") or []), *(inputs.get("localSecondaryIndexes") or [])]
    used = {b.get(k) for b in blocks if isinstance(b, dict) for k in ("hashKey", "rangeKey") if b.get(k)}
    if all(isinstance(u, str) for u in used) and used != {a["name"] for a in attributes}:
        names = ", ".join(sorted(map(str, used)))
        problems.add("attributes", f"must name the keys of the table and its indexes, and no more: {names}")


TABLE = ResourceType(
    token="aws:dynamodb/table:Table",
    service="dynamodb",
    create=Call("CreateTable", {"TableName": "$name"}, fields=("billingMode", "deletionProtectionEnabled", "tableClass")),
    identity="{name}",
    absent=_GONE,
    replace=("name", "hashKey", "rangeKey", "localSecondaryIndexes"),
    name=AutoName("name", 255),
    defaults={"billingMode": "PROVISIONED", "deletionProtectionEnabled": False, "streamEnabled": False, "tableClass": "STANDARD"},
    computed=("readCapacity", "writeCapacity", "pointInTimeRecovery", "streamViewType", "ttl", "serverSideEncryption"),
    local=_LOCAL,
    tags=Tags(
        tag=Call("TagResource", {"ResourceArn": "$arn"}),
        untag=Call("UntagResource", {"ResourceArn": "$arn"}),
        read=Read("ListTagsOfResource", {"ResourceArn": "$arn"}, at="Tags"),
    ),
    check=_check,
    on_create=_create,
    after_create=_complete,
    on_read=_read,
    on_update=_update,
    on_delete=_delete,
)

TYPES = (TABLE,)
