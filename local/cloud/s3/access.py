"""What a request to S3 needs: actions on bucket and objects, and the use of the key that an object is encrypted under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from moto.kms.models import kms_backends
from moto.s3.models import FakeBucket, FakeDeleteMarker, s3_backends

from local.cloud.aws_errors import CloudError
from local.cloud.dispatch.call import Call
from local.cloud.iam.keys import Keys
from local.cloud.iam.kms import key_need
from local.cloud.iam.needs import Need
from local.cloud.regions import regions
from local.cloud.s3.actions import action_of

# The owner's root can always mend a policy that locks everybody out.
_MENDING = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
_READS = {"GetObject", "HeadObject", "GetObjectAttributes", "SelectObjectContent"}
_WRITES: dict[str, tuple[str, ...]] = {
    "PutObject": ("kms:GenerateDataKey",),
    "CopyObject": ("kms:GenerateDataKey",),
    "CreateMultipartUpload": ("kms:GenerateDataKey", "kms:Decrypt"),  # S3 reads the parts again to join them
}
_KEY_ARN = re.compile(r"arn:aws:kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):key/(?P<id>.+)")
# Headers of a write that need an action of their own.
_WITH_HEADER = {
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-bypass-governance-retention": "s3:BypassGovernanceRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    "x-amz-tagging": "s3:PutObjectTagging",
}


def s3_needs(call: Call) -> list[Need]:
    """The needs of a request. Of a bucket that is not there, none: its own handler says so."""
    name, key = _place(call)
    action = action_of(call.operation, "versionId" in call.form)
    if not name or call.operation == "CreateBucket":
        return [Need(action, f"arn:aws:s3:::{name}" if name else "*", call.caller.account_id, _keys(call))]
    bucket = find_bucket(name)
    if bucket is None:
        return []
    owner = bucket.account_id
    expected = call.http.header("x-amz-expected-bucket-owner")
    if expected and expected != owner:
        raise CloudError("AccessDenied", "Access Denied", 403)
    resource = f"arn:aws:s3:::{name}" + (f"/{key}" if key else "/*" if call.operation == "DeleteObjects" else "")
    mending = action in _MENDING and call.caller.is_root and call.caller.account_id == owner
    found = [Need(action, resource, owner, _keys(call), None if mending else bucket.policy)]
    if key:
        found += [
            Need(more, resource, owner, _keys(call), bucket.policy) for header, more in _WITH_HEADER.items() if call.http.header(header)
        ]
    if call.http.header("x-amz-copy-source"):
        found += _source(call)
    return found + list(_key_needs(call, bucket, key))


def absence_need(call: Call) -> Need | None:
    """What a reader needs to be told that there is no such object; without it, S3 denies access. None where the object is there."""
    name, key = _place(call)
    bucket = find_bucket(name)
    if call.operation not in _READS or bucket is None or "versionId" in call.form or not key:
        return None
    held = bucket.keys.get(key)
    if held is not None and not isinstance(held, FakeDeleteMarker):
        return None
    return Need("s3:ListBucket", f"arn:aws:s3:::{name}", bucket.account_id, {}, bucket.policy)


def find_bucket(name: str) -> FakeBucket | None:
    place = s3_backends.bucket_accounts.get(name)
    if place is None:
        return None
    partition, account = place
    return s3_backends[account][partition].buckets.get(name)


def _place(call: Call) -> tuple[str, str]:
    bucket, _, key = call.http.path.removeprefix("/").partition("/")
    return unquote(bucket), unquote(key)


def _keys(call: Call) -> Keys:
    """The condition keys of S3 that a request carries."""
    keys: Keys = {"s3:tlsversion": "1.3", "s3:authtype": "REST-HEADER"}
    for header, value in call.http.headers:
        lower = header.lower()
        if lower.startswith("x-amz-") and not lower.startswith("x-amz-meta-"):
            keys[f"s3:{lower}"] = value
    if call.http.header("x-amz-object-lock-mode"):
        keys["s3:object-lock-mode"] = call.http.header("x-amz-object-lock-mode")
    for parameter, name in (
        ("prefix", "s3:prefix"),
        ("delimiter", "s3:delimiter"),
        ("max-keys", "s3:max-keys"),
        ("versionId", "s3:versionid"),
    ):
        if parameter in call.form:
            keys[name] = call.form[parameter]
    return keys


def _source(call: Call) -> list[Need]:
    """A copy reads its source: the source bucket's policy has its say, and the key's."""
    place, _, version = unquote(call.http.header("x-amz-copy-source")).removeprefix("/").partition("?versionId=")
    name, _, key = place.partition("/")
    bucket = find_bucket(name)
    if bucket is None:
        return []
    read = Need(action_of("GetObject", bool(version)), f"arn:aws:s3:::{place}", bucket.account_id, {}, bucket.policy)
    return [read, *_use_of(call, bucket, _key_of(bucket, key), ("kms:Decrypt",))]


def _key_needs(call: Call, bucket: FakeBucket, key: str) -> Iterator[Need]:
    if call.operation in _READS:
        yield from _use_of(call, bucket, _key_of(bucket, key), ("kms:Decrypt",))
    elif call.operation in _WRITES:
        algorithm = call.http.header("x-amz-server-side-encryption")
        chosen = call.http.header("x-amz-server-side-encryption-aws-kms-key-id") if algorithm.startswith("aws:kms") else ""
        key_id = chosen or ("" if algorithm == "AES256" else _default_key(bucket))
        yield from _use_of(call, bucket, key_id, _WRITES[call.operation])


def _key_of(bucket: FakeBucket, key: str) -> str:
    """The key that an object lies under; "" for none, or for S3's own."""
    held = bucket.keys.get(key)
    if held is None or isinstance(held, FakeDeleteMarker):
        return ""
    if held.encryption:
        return str(held.kms_key_id or _default_key(bucket) or "alias/aws/s3") if str(held.encryption).startswith("aws:kms") else ""
    return _default_key(bucket)


def _default_key(bucket: FakeBucket) -> str:
    configuration: Any = bucket.encryption or {}
    rules = configuration.get("ServerSideEncryptionConfiguration", configuration).get("Rule", [])
    rules = rules if isinstance(rules, list) else [rules]
    for rule in rules:
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        if str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
            return str(default.get("KMSMasterKeyID") or "alias/aws/s3")
    return ""


def _use_of(call: Call, bucket: FakeBucket, key_id: str, actions: tuple[str, ...]) -> Iterator[Need]:
    """The use of a key by S3 for the caller. AWS's own key serves the bucket's account, without being asked, and no other."""
    caller = call.caller.account_id
    if not key_id or (key_id == "alias/aws/s3" and caller == bucket.account_id):
        return
    found = _KEY_ARN.fullmatch(key_id)
    key = kms_backends[found["account"]][found["region"]].keys.get(found["id"]) if found and found["region"] in regions() else None
    if key is None and caller == bucket.account_id:
        return
    for action in actions:
        if key is None:
            yield Need(action, key_id, bucket.account_id)
        else:
            yield key_need(action, key, caller, via=f"s3.{call.region}.amazonaws.com")
