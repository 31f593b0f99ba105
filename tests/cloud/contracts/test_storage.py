"""S3 and DynamoDB: conditional writes, versions, locks, policies, encryption by default."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cloud.aws import Aws, fresh
from tests.cloud.contracts.waiting import code

WRITERS = 8


def bucket(aws: Aws, **options: Any) -> tuple[Any, str]:
    s3, name = aws("s3"), fresh("contract")
    s3.create_bucket(Bucket=name, **options)
    return s3, name


def table(aws: Aws) -> tuple[Any, str]:
    dynamodb, name = aws("dynamodb"), fresh("contract")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    return dynamodb, name


def test_one_of_many_writers_creates_an_object(aws: Aws) -> None:
    s3, name = bucket(aws)
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(lambda _: code(s3.put_object, Bucket=name, Key="k", Body=b"x", IfNoneMatch="*"), range(WRITERS)))
    assert sorted(answers) == ["", *["PreconditionFailed"] * (WRITERS - 1)]


def test_an_object_is_replaced_only_by_who_knows_it(aws: Aws) -> None:
    s3, name = bucket(aws)
    place = {"Bucket": name, "Key": "k"}
    first = s3.put_object(**place, Body=b"one")["ETag"]
    s3.put_object(**place, Body=b"two", IfMatch=first)
    assert code(s3.put_object, **place, Body=b"three", IfMatch=first) == "PreconditionFailed"
    assert s3.get_object(**place)["Body"].read() == b"two"
    assert code(s3.put_object, Bucket=name, Key="none", Body=b"x", IfMatch=first) == "NoSuchKey"


def test_a_version_outlives_what_comes_after_it(aws: Aws) -> None:
    s3, name = bucket(aws)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    place = {"Bucket": name, "Key": "k"}
    first, second = (s3.put_object(**place, Body=body)["VersionId"] for body in (b"one", b"two"))
    assert s3.delete_object(**place)["DeleteMarker"] is True
    assert code(s3.get_object, **place) == "NoSuchKey"
    assert [s3.get_object(**place, VersionId=version)["Body"].read() for version in (first, second)] == [b"one", b"two"]
    listed = s3.list_object_versions(Bucket=name)
    assert [version["VersionId"] for version in listed["Versions"]] == [second, first]
    assert len(listed["DeleteMarkers"]) == 1
    assert code(s3.delete_bucket, Bucket=name) == "BucketNotEmpty"


def test_a_locked_version_stays(aws: Aws) -> None:
    s3, name = bucket(aws, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC) + timedelta(days=30)
    governed, kept = {"Bucket": name, "Key": "governed"}, {"Bucket": name, "Key": "kept"}
    governed["VersionId"] = s3.put_object(**governed, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    kept["VersionId"] = s3.put_object(**kept, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    assert code(s3.delete_object, **governed) == "AccessDenied"
    assert code(s3.delete_object, **kept, BypassGovernanceRetention=True) == "AccessDenied"
    assert code(s3.delete_object, **governed, BypassGovernanceRetention=True) == ""
    assert code(s3.head_object, **governed) == "404"
    assert s3.head_object(**kept)["ObjectLockMode"] == "COMPLIANCE"


def test_a_bucket_keeps_the_policy_it_is_given(aws: Aws) -> None:
    s3, name = bucket(aws)
    assert code(s3.get_bucket_policy, Bucket=name) == "NoSuchBucketPolicy"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))
    assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == document
    assert code(s3.put_bucket_policy, Bucket=name, Policy="not a policy") == "MalformedPolicy"
    s3.delete_bucket_policy(Bucket=name)
    assert code(s3.get_bucket_policy, Bucket=name) == "NoSuchBucketPolicy"


def test_objects_take_the_key_of_their_bucket(aws: Aws) -> None:
    s3, name = bucket(aws)
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    found = s3.head_object(Bucket=name, Key="k")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)


def test_an_object_in_parts_is_one_object(aws: Aws) -> None:
    s3, name = bucket(aws)
    place = {"Bucket": name, "Key": "model.tar.gz"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    bodies = [b"a" * 5 * 1024 * 1024, b"end"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, start=1)
    ]
    assert code(s3.head_object, **place) == "404"
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(**place)["ContentLength"] == len(bodies[0]) + len(bodies[1])
    assert s3.get_object(**place, Range="bytes=5242879-")["Body"].read() == b"aend"


def test_one_of_many_writers_takes_a_lease(aws: Aws) -> None:
    dynamodb, name = table(aws)

    def take(holder: int) -> str:
        item = {"k": {"S": "LEASE"}, "holder": {"N": str(holder)}}
        return code(dynamodb.put_item, TableName=name, Item=item, ConditionExpression="attribute_not_exists(k)")

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(take, range(WRITERS)))
    assert sorted(answers) == ["", *["ConditionalCheckFailedException"] * (WRITERS - 1)]


def test_no_conditional_count_is_lost(aws: Aws) -> None:
    dynamodb, name = table(aws)
    dynamodb.put_item(TableName=name, Item={"k": {"S": "token"}, "n": {"N": "0"}})

    def bump(_: int) -> int:
        won = 0
        for _ in range(5):
            held = dynamodb.get_item(TableName=name, Key={"k": {"S": "token"}}, ConsistentRead=True)["Item"]["n"]["N"]
            won += not code(
                dynamodb.update_item,
                TableName=name,
                Key={"k": {"S": "token"}},
                UpdateExpression="SET n = n + :one",
                ConditionExpression="n = :held",
                ExpressionAttributeValues={":one": {"N": "1"}, ":held": {"N": held}},
            )
        return won

    with ThreadPoolExecutor(WRITERS) as pool:
        wins = sum(pool.map(bump, range(WRITERS)))
    assert int(dynamodb.get_item(TableName=name, Key={"k": {"S": "token"}})["Item"]["n"]["N"]) == wins > 0


def test_a_transaction_writes_all_or_nothing(aws: Aws) -> None:
    dynamodb, name = table(aws)

    def puts(*keys: str) -> list[dict[str, Any]]:
        put = {"TableName": name, "ConditionExpression": "attribute_not_exists(k)"}
        return [{"Put": {**put, "Item": {"k": {"S": key}}}} for key in keys]

    dynamodb.transact_write_items(TransactItems=puts("a", "b"))
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(TransactItems=puts("c", "a"))
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert {item["k"]["S"] for item in dynamodb.scan(TableName=name)["Items"]} == {"a", "b"}


def test_a_tag_of_a_table_takes_the_place_of_the_one_before(aws: Aws) -> None:
    dynamodb, name = table(aws)
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    for round_ in ("first", "second", "third"):
        dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": f"key-{number}", "Value": round_} for number in range(12)])
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    found = [(tag["Key"], tag["Value"]) for page in pages for tag in page["Tags"]]
    assert sorted(found) == sorted((f"key-{number}", "third") for number in range(12))
