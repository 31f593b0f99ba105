"""Keys and their aliases."""

from __future__ import annotations

from local.provider.api import Api
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Setting, Tags

_GONE = ("NotFoundException",)


def _rotation(api: Api, old: Properties, new: Properties) -> None:
    if not new.get("enableKeyRotation"):
        api.call("kms", "DisableKeyRotation", KeyId=new["id"])
        return
    period = {"RotationPeriodInDays": new["rotationPeriodInDays"]} if new.get("rotationPeriodInDays") else {}
    api.call("kms", "EnableKeyRotation", KeyId=new["id"], **period)


def _enabled(api: Api, old: Properties, new: Properties) -> None:
    api.call("kms", "EnableKey" if new.get("isEnabled", True) else "DisableKey", KeyId=new["id"])


KEY = ResourceType(
    token="aws:kms/key:Key",
    service="kms",
    create=Call(
        "CreateKey",
        {"KeySpec": "$customerMasterKeySpec"},
        fields=("description", "policy", "keyUsage", "multiRegion", "customKeyStoreId", "bypassPolicyLockoutSafetyCheck"),
    ),
    identity="KeyMetadata.KeyId",
    reads=(
        Read(
            "DescribeKey",
            {"KeyId": "$id"},
            at="KeyMetadata",
            fields={"isEnabled": "Enabled", "customerMasterKeySpec": "KeySpec"},
            absent=_GONE,
            gone="KeyState=='PendingDeletion' || KeyState=='PendingReplicaDeletion'",
        ),
        Read("GetKeyPolicy", {"KeyId": "$id", "PolicyName": "default"}, fields={"policy": "Policy"}, absent=_GONE),
        Read(
            "GetKeyRotationStatus",
            {"KeyId": "$id"},
            fields={"enableKeyRotation": "KeyRotationEnabled", "rotationPeriodInDays": "RotationPeriodInDays"},
            absent=("UnsupportedOperationException",),
        ),
    ),
    settings=(
        Setting(("description",), Call("UpdateKeyDescription", {"KeyId": "$id", "Description": "$description"}), at_create=False),
        Setting(
            ("policy",),
            Call(
                "PutKeyPolicy",
                {"KeyId": "$id", "PolicyName": "default", "Policy": "$policy"},
                fields=("bypassPolicyLockoutSafetyCheck",),
            ),
            at_create=False,
        ),
        Setting(("enableKeyRotation", "rotationPeriodInDays"), _rotation),
        Setting(("isEnabled",), _enabled),
    ),
    delete=Call("ScheduleKeyDeletion", {"KeyId": "$id", "PendingWindowInDays": "$deletionWindowInDays"}),
    absent=("KMSInvalidStateException:pending deletion",),
    replace=("customerMasterKeySpec", "keyUsage", "multiRegion", "customKeyStoreId"),
    defaults={
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "keyUsage": "ENCRYPT_DECRYPT",
        "isEnabled": True,
        "enableKeyRotation": False,
        "bypassPolicyLockoutSafetyCheck": False,
    },
    computed=("description", "policy", "multiRegion", "rotationPeriodInDays"),
    documents=("policy",),
    local=("deletionWindowInDays",),
    tags=Tags(
        tag=Call("TagResource", {"KeyId": "$id"}),
        untag=Call("UntagResource", {"KeyId": "$id"}),
        style="kms",
        read=Read("ListResourceTags", {"KeyId": "$id"}, at="Tags"),
    ),
)


def _read_alias(api: Api, identity: str, known: Properties) -> Properties | None:
    found = next((a for a in api.pages("kms", "ListAliases", "Aliases") if a["AliasName"] == identity), None)
    if found is None or not found.get("TargetKeyId"):
        return None
    key = found["TargetKeyId"]
    arn = f"arn:{api.partition}:kms:{api.region}:{api.account}:key/{key}"
    said = str(known.get("targetKeyId", ""))
    return {
        "name": identity,
        "arn": found["AliasArn"],
        "targetKeyId": said if said.startswith("arn:") and said.endswith(f"key/{key}") else key,
        "targetKeyArn": arn,
    }


ALIAS = ResourceType(
    token="aws:kms/alias:Alias",
    service="kms",
    create=Call("CreateAlias", {"AliasName": "$name"}, fields=("targetKeyId",)),
    identity="{name}",
    settings=(Setting(("targetKeyId",), Call("UpdateAlias", {"AliasName": "$id", "TargetKeyId": "$targetKeyId"}), at_create=False),),
    delete=Call("DeleteAlias", {"AliasName": "$id"}),
    absent=_GONE,
    replace=("name", "namePrefix"),
    name=AutoName("name", 250, prefix="namePrefix", start="alias/"),
    computed=("namePrefix",),
    local=("namePrefix",),
    on_read=_read_alias,
)

TYPES = (KEY, ALIAS)
