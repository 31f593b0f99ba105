"""Calls across accounts: what the owner's policies let in, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud, CloudSession
from tests.cloud.aws import ACCOUNT, OTHER, REGION

ROLE = f"arn:aws:iam::{OTHER}:role/promotion"
ONLY_THE_ROLE = {"ArnEquals": {"aws:PrincipalArn": ROLE}}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def grant(actions: list[str], resource: str | None, **condition: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": actions,
        "Condition": {**ONLY_THE_ROLE, **condition},
    }
    return statement if resource is None else {**statement, "Resource": resource}


DENY_WITHOUT_TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::models", "arn:aws:s3:::models/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@dataclass
class Two:
    owner: Any
    role: Any
    stranger: Any
    key: str


@pytest.fixture(scope="module")
def sessions(cloud: Cloud) -> tuple[CloudSession, CloudSession, CloudSession]:
    """The owner; in the other account, the role that is let in and somebody who is not."""
    owner, stranger = cloud.session(ACCOUNT, REGION), cloud.session(OTHER, REGION)
    trust = policy({"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"})
    stranger.client("iam").create_role(RoleName="promotion", AssumeRolePolicyDocument=trust)
    return owner, cloud.session(OTHER, REGION, ROLE), stranger


@pytest.fixture
def two(sessions: tuple[CloudSession, CloudSession, CloudSession]) -> Iterator[Two]:
    """A bucket under a key in the owner's account, which nobody else may read."""
    owner, role, stranger = sessions
    via = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    key = owner.client("kms").create_key(Policy=policy(grant(["kms:Decrypt"], "*", **via), grant(["kms:DescribeKey"], "*")))
    arn = key["KeyMetadata"]["Arn"]
    s3 = owner.client("s3")
    s3.create_bucket(Bucket="models")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    s3.put_bucket_encryption(Bucket="models", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket="models", Key="models/a", Body=b"weights")
    s3.put_object(Bucket="models", Key="private", Body=b"secret")
    yield Two(owner, role, stranger, arn)
    for place in (s3, stranger.client("s3")):
        for bucket in [bucket["Name"] for bucket in place.list_buckets()["Buckets"]]:
            place.delete_bucket_policy(Bucket=bucket)
            for item in place.list_objects_v2(Bucket=bucket).get("Contents", []):
                place.delete_object(Bucket=bucket, Key=item["Key"])
            place.delete_bucket(Bucket=bucket)


def refused(call: Any, code: str, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value)


def test_nothing_is_shared_by_itself(two: Two) -> None:
    message = refused(two.role.client("s3").get_object, "AccessDenied", Bucket="models", Key="models/a")
    assert f"User: arn:aws:sts::{OTHER}:assumed-role/promotion/SageMaker is not authorized to perform: s3:GetObject" in message
    assert '"arn:aws:s3:::models/models/a" because no resource-based policy allows' in message


def test_a_bucket_lets_in_whom_and_what_its_policy_names(two: Two) -> None:
    two.owner.client("s3").put_bucket_policy(
        Bucket="models", Policy=policy(DENY_WITHOUT_TLS, grant(["s3:GetObject"], "arn:aws:s3:::models/models/*"))
    )
    role, stranger = two.role.client("s3"), two.stranger.client("s3")
    assert role.get_object(Bucket="models", Key="models/a")["Body"].read() == b"weights"
    assert role.head_object(Bucket="models", Key="models/a")["SSEKMSKeyId"] == two.key
    refused(role.get_object, "AccessDenied", Bucket="models", Key="private")
    refused(role.put_object, "AccessDenied", Bucket="models", Key="models/a", Body=b"")
    refused(role.delete_object, "AccessDenied", Bucket="models", Key="models/a")
    refused(role.list_objects_v2, "AccessDenied", Bucket="models")
    refused(stranger.get_object, "AccessDenied", Bucket="models", Key="models/a")


def test_a_copy_reads_the_source_as_the_caller(two: Two) -> None:
    two.owner.client("s3").put_bucket_policy(Bucket="models", Policy=policy(grant(["s3:GetObject"], "arn:aws:s3:::models/models/*")))
    two.stranger.client("s3").create_bucket(Bucket="target")
    role = two.role.client("s3")
    role.copy_object(Bucket="target", Key="a", CopySource="models/models/a")
    assert two.stranger.client("s3").get_object(Bucket="target", Key="a")["Body"].read() == b"weights"
    refused(role.copy_object, "AccessDenied", Bucket="target", Key="b", CopySource="models/private")


def test_a_key_that_is_not_shared_keeps_its_objects(two: Two) -> None:
    two.owner.client("s3").put_bucket_policy(Bucket="models", Policy=policy(grant(["s3:GetObject"], "arn:aws:s3:::models/*")))
    two.owner.client("kms").put_key_policy(KeyId=two.key, PolicyName="default", Policy=policy(grant(["kms:DescribeKey"], "*")))
    message = refused(two.role.client("s3").get_object, "AccessDenied", Bucket="models", Key="models/a")
    assert "is not authorized to perform: kms:Decrypt on resource: " + two.key in message


def test_keys_by_arn(two: Two) -> None:
    assert two.role.client("kms").describe_key(KeyId=two.key)["KeyMetadata"]["Arn"] == two.key
    refused(two.stranger.client("kms").describe_key, "AccessDeniedException", KeyId=two.key)
    refused(two.role.client("kms").generate_data_key, "AccessDeniedException", KeyId=two.key, KeySpec="AES_256")


def test_a_deny_binds_the_owner_too_but_not_for_mending(two: Two) -> None:
    s3 = two.owner.client("s3")
    s3.put_bucket_policy(Bucket="models", Policy=policy({**DENY_WITHOUT_TLS, "Condition": {}}))
    assert "with an explicit deny in a resource-based policy" in refused(s3.get_object, "AccessDenied", Bucket="models", Key="private")
    s3.delete_bucket_policy(Bucket="models")
    assert s3.get_object(Bucket="models", Key="private")["Body"].read() == b"secret"


def test_repositories(two: Two) -> None:
    ecr = two.owner.client("ecr")
    ecr.create_repository(repositoryName="workload")
    place = {"registryId": ACCOUNT, "repositoryName": "workload"}
    refused(two.role.client("ecr").describe_images, "AccessDeniedException", **place)
    ecr.set_repository_policy(repositoryName="workload", policyText=policy({"Sid": "x", **grant(["ecr:DescribeImages"], None)}))
    assert two.role.client("ecr").describe_images(**place)["imageDetails"] == []
    refused(two.role.client("ecr").batch_get_image, "AccessDeniedException", imageIds=[{"imageTag": "x"}], **place)
    refused(two.stranger.client("ecr").describe_images, "AccessDeniedException", **place)


def test_model_packages(two: Two) -> None:
    sagemaker = two.owner.client("sagemaker")
    group = sagemaker.create_model_package_group(ModelPackageGroupName="mortgage", Tags=[{"Key": "a", "Value": "b"}])[
        "ModelPackageGroupArn"
    ]
    package = sagemaker.create_model_package(ModelPackageGroupName="mortgage")["ModelPackageArn"]
    role, stranger = two.role.client("sagemaker"), two.stranger.client("sagemaker")
    refused(role.describe_model_package, "AccessDeniedException", ModelPackageName=package)
    read = grant(["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages", "sagemaker:ListTags"], "*")
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="mortgage", ResourcePolicy=policy(read))
    assert role.describe_model_package(ModelPackageName=package)["ModelPackageVersion"] == 1
    assert len(role.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 1
    assert role.list_tags(ResourceArn=package)["Tags"] == [{"Key": "a", "Value": "b"}]
    refused(role.update_model_package, "AccessDeniedException", ModelPackageArn=package, ModelApprovalStatus="Approved")
    refused(stranger.describe_model_package, "AccessDeniedException", ModelPackageName=package)


def test_the_logging_service_needs_the_logs_buckets_leave(two: Two) -> None:
    s3 = two.owner.client("s3")
    s3.create_bucket(Bucket="logs")
    status = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "models/"}}
    refused(s3.put_bucket_logging, "InvalidTargetBucketForLogging", Bucket="models", BucketLoggingStatus=status)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    tls = {**DENY_WITHOUT_TLS, "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]}
    s3.put_bucket_policy(Bucket="logs", Policy=policy(tls, allow))
    s3.put_bucket_logging(Bucket="models", BucketLoggingStatus=status)
    assert s3.get_bucket_logging(Bucket="models")["LoggingEnabled"]["TargetBucket"] == "logs"
