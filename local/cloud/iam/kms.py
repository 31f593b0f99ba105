"""Rights in keys: which key is meant, and what its use needs. A key's own policy always has a say, in its own account too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.kms.models import Key, kms_backends

from local.cloud.dispatch.call import Call
from local.cloud.iam.keys import Keys, request_keys
from local.cloud.iam.needs import Need, Rule, needs_for
from local.cloud.iam.reference import Action
from local.cloud.iam.resources import Place
from local.cloud.regions import regions

_ARN = re.compile(r"arn:aws:kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>(key|alias)/.+)")
_KEY_MEMBERS = ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId")


def find_key(key_id: str, account: str, region: str) -> Key | None:
    """The key of an id, an alias, or the ARN of either; ids and aliases are those of the account and region."""
    found = _ARN.fullmatch(key_id)
    if found is not None:
        account, region, key_id = found["account"], found["region"], found["name"].removeprefix("key/")
    if region not in regions():
        return None
    backend = kms_backends[account][region]
    if key_id.startswith("alias/"):
        return next((key for key in backend.keys.values() if key_id in key.aliases), None)
    key: Key | None = backend.keys.get(key_id)
    return key


def key_need(action: str, key: Key, caller: str, via: str | None = None, extra: Mapping[str, str] | None = None) -> Need:
    """The need to use a key. `caller` is the caller's account; `via` is who uses the key for the caller ("s3.us-east-1.amazonaws.com")."""
    keys: Keys = {"kms:calleraccount": caller, "kms:resourcealiases": sorted(key.aliases), **(extra or {})}
    if via is not None:
        keys["kms:viaservice"] = via
    return Need(action, key.arn, key.arn.split(":")[4], keys, key.policy, Rule.KEY)


def kms_needs(call: Call, name: str, action: Action, given: Mapping[str, Any]) -> list[Need]:
    """What a call to KMS itself needs."""
    place = Place(call.account, call.region)
    named = [str(given[member]) for member in _KEY_MEMBERS if given.get(member)]
    if not named:
        return needs_for(name, action, given, place, call.service)
    found = []
    for key_id in named:
        key = find_key(key_id, call.account, call.region)
        if key is None:
            found += needs_for(name, action, {"KeyId": key_id}, place, call.service)
            continue
        extra = {member: value for member, value in request_keys(action, given).items() if isinstance(value, str)}
        if "alias/" in key_id:
            extra["kms:requestalias"] = "alias/" + key_id.partition("alias/")[2]
        if name == "kms:CreateGrant":
            extra["kms:grantisforawsresource"] = "false"
        found.append(key_need(name, key, call.caller.account_id, extra=extra))
    if "alias" in action.required:
        found += [Need(name, f"arn:aws:kms:{place.region}:{place.account}:{given.get('AliasName', 'alias/*')}", place.account)]
    return found
