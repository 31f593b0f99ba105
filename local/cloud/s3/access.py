"""Who may do what in a bucket: its policy, conditions included, and the policy of the key that an object is encrypted under."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from moto.kms.models import kms_backends
from moto.s3.models import FakeBucket, s3_backends

from local.cloud.aws_errors import CloudError
from local.cloud.dispatch.call import Call
from local.cloud.iam.decisions import admit, decide, denied
from local.cloud.iam.policy import Verdict
from local.cloud.s3.actions import action_of

# The owner's root can always mend a policy that locks everybody out.
_MENDING = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
_READS = {"GetObject", "HeadObject", "GetObjectAttributes", "SelectObjectContent"}
_WRITES = {"PutObject", "CopyObject", "CreateMultipartUpload"}
_KEY_ARN = re.compile(r"arn:aws:kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):key/(?P<id>.+)")


def guard_s3(call: Call) -> None:
    """Apply bucket policies to a call, and move it into the account of the bucket."""
    if call.service != "s3":
        return
    name, key = _place(call)
    bucket = find_bucket(name)
    if bucket is None or call.operation == "CreateBucket":
        return
    owner = bucket.account_id
    expected = call.http.header("x-amz-expected-bucket-owner")
    if expected and expected != owner:
        raise CloudError("AccessDenied", "Access Denied", 403)
    action = action_of(call.operation, "versionId" in call.form)
    resource = f"arn:aws:s3:::{name}" + (f"/{key}" if key else "/*" if call.operation == "DeleteObjects" else "")
    if not (action in _MENDING and call.caller.is_root and call.caller.account_id == owner):
        admit(call, bucket.policy, owner, action, resource, "AccessDenied", _keys(call))
    if call.http.header("x-amz-copy-source"):
        _admit_source(call)
    if call.caller.account_id != owner:
        _admit_key(call, bucket, key)
    call.act_in(owner)


def find_bucket(name: str) -> FakeBucket | None:
    place = s3_backends.bucket_accounts.get(name)
    if place is None:
        return None
    partition, account = place
    return s3_backends[account][partition].buckets.get(name)


def _place(call: Call) -> tuple[str, str]:
    bucket, _, key = call.http.path.removeprefix("/").partition("/")
    return unquote(bucket), unquote(key)


def _keys(call: Call) -> dict[str, str]:
    """The condition keys of S3 that a request carries."""
    keys = {"s3:tlsversion": "1.3", "s3:authtype": "REST-HEADER"}
    for header, value in call.http.headers:
        lower = header.lower()
        if lower.startswith("x-amz-") and not lower.startswith("x-amz-meta-"):
            keys[f"s3:{lower}"] = value
    if "x-amz-object-lock-mode" in {header.lower() for header, _ in call.http.headers}:
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


def _admit_source(call: Call) -> None:
    """A copy reads its source: the source bucket's policy has its say, and the key's."""
    source = unquote(call.http.header("x-amz-copy-source")).split("?versionId=")[0].removeprefix("/")
    name, _, key = source.partition("/")
    bucket = find_bucket(name)
    if bucket is None:
        return
    account = call.account
    admit(
        call, bucket.policy, bucket.account_id, action_of("GetObject", "versionId=" in source), f"arn:aws:s3:::{name}/{key}", "AccessDenied"
    )
    if bucket.account_id != call.caller.account_id:
        _decrypt(call, _key_of(bucket, key), "kms:Decrypt")
    call.act_in(account)


def _admit_key(call: Call, bucket: FakeBucket, key: str) -> None:
    if call.operation in _READS:
        _decrypt(call, _key_of(bucket, key), "kms:Decrypt")
    elif call.operation in _WRITES:
        algorithm = call.http.header("x-amz-server-side-encryption")
        chosen = call.http.header("x-amz-server-side-encryption-aws-kms-key-id") if algorithm.startswith("aws:kms") else ""
        _decrypt(call, chosen or ("" if algorithm == "AES256" else _default_key(bucket)), "kms:GenerateDataKey")


def _key_of(bucket: FakeBucket, key: str) -> str:
    """The key that an object lies under; "" for none, or for S3's own."""
    held = bucket.keys.get(key)
    if held is None:
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


def _decrypt(call: Call, key_id: str, action: str) -> None:
    """A caller from another account needs the key's policy too; AWS's own key is never shared."""
    if not key_id:
        return
    found = _KEY_ARN.fullmatch(key_id)
    key = kms_backends[found["account"]][found["region"]].keys.get(found["id"]) if found else None
    extra = {"kms:viaservice": f"s3.{call.region}.amazonaws.com", "kms:calleraccount": call.caller.account_id}
    if key is None or found is None or decide(call, key.policy, found["account"], action, key_id, extra) is not Verdict.ALLOW:
        raise denied(call.caller, action, key_id, "AccessDenied", f"because no resource-based policy allows the {action} action")
