"""Buckets, what configures them, objects, keys, tables, images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.provider.wire import ASSET, SIGNATURE
from tests.provider.conftest import ACCOUNT, DEFAULT_TAGS
from tests.provider.door import CheckFailed, Door, Held

BUCKET = "aws:s3/bucket:Bucket"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"


def part(name: str) -> str:
    return f"aws:s3/bucket{name}:Bucket{name}"


@pytest.fixture(scope="module")
def bucket(door: Door) -> Held:
    return door.up(door.held(BUCKET, "data"), {"bucket": "data-bucket", "forceDestroy": True})


def test_a_bucket_without_a_name_gets_one_that_stays(door: Door) -> None:
    held = door.cycle(BUCKET, {}, {"tags": {"purpose": "x"}}, name="Artefacts")
    assert held.identity.startswith("artefacts-")
    assert len(held.identity) == len("artefacts-") + 7
    assert held["arn"] == f"arn:aws:s3:::{held.identity}"
    assert held["bucketDomainName"] == f"{held.identity}.s3.amazonaws.com"
    assert held["tagsAll"] == {**DEFAULT_TAGS, "purpose": "x"}
    planned = door.preview(held, {"bucket": "another"})
    assert planned.replaces == ["bucket"]
    door.gone(held)


def test_a_bucket_that_is_not_empty_goes_only_by_force(door: Door, session: Any) -> None:
    held = door.up(door.held(BUCKET), {"bucket": "full", "objectLockEnabled": True})
    s3 = session.client("s3")
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(Bucket="full", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    for body in (b"1", b"2"):
        s3.put_object(Bucket="full", Key="kept", Body=body)
    s3.delete_object(Bucket="full", Key="kept")
    with pytest.raises(Exception, match="BucketNotEmpty"):
        door.destroy(held)
    held = door.up(held, {"bucket": "full", "objectLockEnabled": True, "forceDestroy": True})
    door.gone(held)


def test_configurations_of_a_bucket(door: Door, bucket: Held, session: Any) -> None:
    key = door.up(door.held("aws:kms/key:Key", "bucket"), {"description": "bucket"})
    name = {"bucket": bucket.identity}
    encrypted = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key["arn"]}, "bucketKeyEnabled": True}
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("OwnershipControls", {"rule": {"objectOwnership": "BucketOwnerPreferred"}}, {"rule": {"objectOwnership": "BucketOwnerEnforced"}}),
        (
            "PublicAccessBlock",
            {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True},
            {"restrictPublicBuckets": True},
        ),
        (
            "ServerSideEncryptionConfiguration",
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
            {"rules": [encrypted]},
        ),
        (
            "LifecycleConfiguration",
            {
                "rules": [
                    {"id": "old", "status": "Enabled", "filter": {"prefix": "tmp/"}, "expiration": {"days": 7}},
                    {"id": "parts", "status": "Enabled", "filter": {}, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 3}},
                ]
            },
            {
                "rules": [
                    {"id": "parts", "status": "Enabled", "filter": {}, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 4}},
                    {"id": "old", "status": "Enabled", "filter": {"prefix": "tmp/"}, "noncurrentVersionExpiration": {"noncurrentDays": 9}},
                ]
            },
        ),
        ("Policy", {"policy": _policy("s3:GetObject")}, {"policy": _policy("s3:GetObject", "s3:ListBucket")}),
        (
            "Versioning",
            {"versioningConfiguration": {"status": "Suspended"}},
            {"versioningConfiguration": {"status": "Enabled"}},
        ),
    ]
    for token, inputs, update in cases:
        held = door.cycle(part(token), {**name, **inputs}, update)
        assert held.identity == bucket.identity
        assert door.preview(held, {**inputs, **update, "bucket": "other"}).replaces == ["bucket"]
        door.gone(held) if token != "Versioning" else door.destroy(held)
    assert session.client("s3").get_bucket_versioning(Bucket=bucket.identity)["Status"] == "Suspended"
    door.destroy(key)


def _policy(*actions: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": ["arn:aws:s3:::data-bucket"]}]})


def test_object_lock_of_a_bucket(door: Door) -> None:
    bucket = door.up(door.held(BUCKET, "ledger"), {"bucket": "ledger", "objectLockEnabled": True, "forceDestroy": True})
    inputs = {"bucket": "ledger", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}}}
    lock = door.cycle(part("ObjectLockConfiguration"), inputs, {"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 2}}})
    door.gone(lock)
    door.gone(bucket)


def test_a_policy_that_is_only_worded_differently_is_no_change(door: Door, bucket: Held) -> None:
    one = {"Sid": "a", "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::data-bucket"]}
    two = {"Sid": "b", "Effect": "Deny", "Principal": "*", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "*",
           "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    held = door.up(door.held(part("Policy")), {"bucket": bucket.identity, "policy": {"Version": "2012-10-17", "Statement": [one, two]}})
    reworded = {
        "Statement": [
            {**two, "Principal": {"AWS": "*"}, "Action": two["Action"][::-1], "Condition": {"Bool": {"aws:SecureTransport": [False]}}},  # type: ignore[index]
            {**one, "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}, "Action": ["S3:getobject"]},
        ],
        "Version": "2012-10-17",
    }
    assert door.preview(held, {"bucket": bucket.identity, "policy": json.dumps(reworded)}).empty
    changed = json.loads(json.dumps(reworded).replace("s3:PutObject", "s3:PutObjectAcl"))
    assert door.preview(held, {"bucket": bucket.identity, "policy": json.dumps(changed)}).changes == {"policy": "update"}
    door.gone(held)


def test_objects_from_text_files_and_base64(door: Door, bucket: Held, session: Any, fresh_door: Any) -> None:
    s3 = session.client("s3")
    folder: Path = fresh_door.folder
    (folder / "file.bin").write_bytes(b"\x00\x01")
    asset = {SIGNATURE: ASSET, "hash": "1", "path": "file.bin"}
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({"content": "text"}, b"text"),
        ({"contentBase64": "AAE="}, b"\x00\x01"),
        ({"source": asset}, b"\x00\x01"),
    ]
    for inputs, body in cases:
        wanted = {"bucket": bucket.identity, "key": "folder/key", "contentType": "application/octet-stream", **inputs}
        held = door.cycle(OBJECT, wanted, {"metadata": {"a": "b"}})
        assert s3.get_object(Bucket=bucket.identity, Key="folder/key")["Body"].read() == body
        door.gone(held)


def test_new_content_is_an_update_in_place_and_a_new_key_a_replacement(door: Door, bucket: Held, session: Any) -> None:
    inputs = {"bucket": bucket.identity, "key": "one", "content": "first"}
    held = door.up(door.held(OBJECT), inputs)
    assert door.preview(held, {**inputs, "content": "second"}).changes == {"content": "update"}
    held = door.up(held, {**inputs, "content": "second"})
    assert session.client("s3").get_object(Bucket=bucket.identity, Key="one")["Body"].read() == b"second"
    assert door.preview(held, {**inputs, "key": "two", "content": "second"}).replaces == ["key"]
    with pytest.raises(CheckFailed, match="conflicts with content"):
        door.check(held, {**inputs, "contentBase64": "AAE="})
    door.gone(held)


def test_keys_and_aliases(door: Door, session: Any) -> None:
    inputs = {"description": "data", "enableKeyRotation": True, "deletionWindowInDays": 7}
    key = door.cycle("aws:kms/key:Key", inputs, {"description": "other", "enableKeyRotation": False})
    assert key["arn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key['keyId']}"
    assert door.preview(key, {**inputs, "customerMasterKeySpec": "RSA_2048"}).replaces == ["customerMasterKeySpec"]
    alias = door.cycle("aws:kms/alias:Alias", {"name": "alias/data", "targetKeyId": key["arn"]})
    assert alias["targetKeyArn"] == key["arn"]
    unnamed = door.up(door.held("aws:kms/alias:Alias", "short"), {"targetKeyId": key["keyId"]})
    assert unnamed.identity.startswith("alias/short-")
    door.gone(unnamed)
    door.gone(alias)
    door.gone(key)
    assert session.client("kms").describe_key(KeyId=key.identity)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_tables(door: Door) -> None:
    key = door.up(door.held("aws:kms/key:Key", "table"), {"description": "table"})
    inputs = {
        "name": "journal",
        "billingMode": "PAY_PER_REQUEST",
        "hashKey": "promotion_id",
        "attributes": [{"name": "promotion_id", "type": "S"}],
        "pointInTimeRecovery": {"enabled": True},
        "serverSideEncryption": {"enabled": True, "kmsKeyArn": key["arn"]},
        "deletionProtectionEnabled": False,
    }
    token = "aws:dynamodb/table:Table"
    held = door.cycle(token, inputs, {"pointInTimeRecovery": {"enabled": False}, "tags": {"a": "b"}})
    assert held["arn"].endswith("table/journal")
    for value in ("one", "two"):  # more than a page of them
        tagged = {**inputs, "tags": {f"key-{number}": value for number in range(12)}}
        held = door.up(held, tagged)
        door.settled(held, tagged)
    planned = door.preview(held, {**inputs, "hashKey": "other", "attributes": [{"name": "other", "type": "S"}]})
    assert planned.replaces == ["hashKey"]
    assert planned.delete_first
    with pytest.raises(CheckFailed, match="attributes: must name the keys"):
        door.check(held, {**inputs, "attributes": [{"name": "typo", "type": "S"}]})
    door.gone(held)
    door.destroy(key)


def test_image_repositories(door: Door) -> None:
    inputs = {
        "name": "workload",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "forceDelete": True,
    }
    held = door.cycle("aws:ecr/repository:Repository", inputs, {"imageScanningConfiguration": {"scanOnPush": False}})
    assert held["repositoryUrl"].endswith("/workload")
    assert held["registryId"] == ACCOUNT
    rule = {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5},
            "action": {"type": "expire"}}  # fmt: skip
    lifecycle = door.cycle("aws:ecr/lifecyclePolicy:LifecyclePolicy", {"repository": "workload", "policy": json.dumps({"rules": [rule]})})
    fewer = {**rule, "selection": {**rule["selection"], "countNumber": 4}}
    planned = door.preview(lifecycle, {"repository": "workload", "policy": json.dumps({"rules": [fewer]})})
    assert planned.replaces == ["policy"]
    assert planned.delete_first
    statement = {"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": ["ecr:BatchGetImage"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = door.cycle("aws:ecr/repositoryPolicy:RepositoryPolicy", {"repository": "workload", "policy": document})
    for made in (policy, lifecycle, held):
        door.gone(made)
