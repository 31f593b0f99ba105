"""The state of an environment's stack: a bucket and a key of its own, in its own account.

The stack's secrets are encrypted by a data key that the KMS key wraps. The wrapped data key lies in the bucket, in the form of the engine's
config file, so that everybody who deploys uses the same one and no tracked file holds it (`lockstep.stacks`).
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.errors import PreflightError
from infra.naming import PROJECT, Names, physical_name
from lockstep.bootstrap.item import Item, State

if TYPE_CHECKING:
    import boto3

SECRETS_KEY = "lockstep/secrets.yaml"
_PRIVATE = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
_ABSENT = {"404", "NoSuchBucket", "NotFoundException", "NoSuchKey", "NoSuchPublicAccessBlockConfiguration", "NoSuchBucketPolicy"}
_ABSENT |= {"NoSuchLifecycleConfiguration", "ServerSideEncryptionConfigurationNotFoundError", "OwnershipControlsNotFoundError"}
_LIFECYCLE = {
    "ID": "tidy",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


def state_bucket(names: Names) -> str:
    """The bucket of an environment's Pulumi state."""
    return physical_name(PROJECT, names.environment, "state", names.account_id, limit=63)


def state_alias(names: Names) -> str:
    """The alias of the key that encrypts the state and wraps the data key of the stack's secrets."""
    return f"alias/{physical_name(PROJECT, names.environment, 'state', limit=250)}"


def backend_url(names: Names) -> str:
    """The state's address as the engine takes it. At an endpoint that the shell names, buckets are in the path, not in the host."""
    path_style = "&s3ForcePathStyle=true" if os.environ.get("AWS_ENDPOINT_URL") else ""
    return f"s3://{state_bucket(names)}?region={names.region}&awssdk=v2{path_style}"


def secrets_provider(names: Names) -> str:
    """The key of the stack's secrets as the engine takes it."""
    return f"awskms:///{state_alias(names)}?region={names.region}&awssdk=v2"


def has_stack(session: boto3.Session, names: Names, project: str) -> bool:
    """Whether the state bucket holds the environment's stack, empty or not."""
    try:
        session.client("s3").head_object(Bucket=state_bucket(names), Key=f".pulumi/stacks/{project}/{names.environment}.json")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        return False
    return True


def items(session: boto3.Session, names: Names) -> list[Item]:
    """The key, the bucket and the data key, in the order in which they need each other."""
    bucket, alias = state_bucket(names), state_alias(names)
    return [
        Item(alias, "key that encrypts the state and its secrets", lambda: _look_key(session, alias), lambda: _make_key(session, names)),
        Item(
            bucket,
            "bucket of the state: versioned, encrypted, private, TLS only",
            lambda: _look_bucket(session, names),
            lambda: _make_bucket(session, names),
        ),
        Item(
            f"s3://{bucket}/{SECRETS_KEY}",
            "data key of the stack's secrets, wrapped",
            lambda: _look_data_key(session, names),
            lambda: _make_data_key(session, names),
        ),
    ]


def read_secrets_file(session: boto3.Session, names: Names) -> str:
    """The engine's config file for the environment's stack. PreflightError if the environment has not been bootstrapped."""
    bucket = state_bucket(names)
    try:
        body: bytes = session.client("s3").get_object(Bucket=bucket, Key=SECRETS_KEY)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        remedy = f"Run `lockstep bootstrap {names.environment}` once."
        raise PreflightError(f"{names.environment} has no state bucket yet", where=f"s3://{bucket}/{SECRETS_KEY}", remedy=remedy) from error
    return body.decode()


def _look_key(session: boto3.Session, alias: str) -> State:
    kms = session.client("kms")
    try:
        key = kms.describe_key(KeyId=alias)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        return "absent"
    if key["KeyState"] != "Enabled":
        raise PreflightError(
            f"the key is {key['KeyState']}", where=alias, remedy="Cancel its deletion or enable it: without it, the state can't be read."
        )
    return "present" if kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] else "differs"


def _make_key(session: boto3.Session, names: Names) -> None:
    kms, alias = session.client("kms"), state_alias(names)
    if _look_key(session, alias) == "absent":
        key = kms.create_key(
            Description=f"Pulumi state of {PROJECT} {names.environment}",
            Tags=[{"TagKey": k, "TagValue": v} for k, v in tags(names).items()],
        )["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=alias, TargetKeyId=key)
    kms.enable_key_rotation(KeyId=kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"])


def tags(names: Names) -> dict[str, str]:
    """The tags of everything that bootstrap makes."""
    return {"project": PROJECT, "environment": names.environment, "managed-by": "lockstep-bootstrap"}


def tls_only(arn: str) -> dict[str, Any]:
    """A bucket policy that refuses requests without TLS."""
    deny = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    return {"Version": "2012-10-17", "Statement": [{**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}


def _encryption(alias_arn: str) -> dict[str, Any]:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": alias_arn}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}


def _look_bucket(session: boto3.Session, names: Names) -> State:
    s3, bucket = session.client("s3"), state_bucket(names)
    owner = {"Bucket": bucket, "ExpectedBucketOwner": names.account_id}
    try:
        s3.head_bucket(**owner)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return "absent"
        raise PreflightError(
            f"the bucket can't be used: {error.response['Error']['Code']}", where=bucket, remedy="It may belong to another account."
        ) from error
    try:
        rule = s3.get_bucket_encryption(**owner)["ServerSideEncryptionConfiguration"]["Rules"][0]
        as_wanted = (
            s3.get_bucket_versioning(**owner).get("Status") == "Enabled"
            and rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID") == names.arn("kms", state_alias(names))
            and s3.get_bucket_lifecycle_configuration(**owner)["Rules"] == [_LIFECYCLE]
            and s3.get_public_access_block(**owner)["PublicAccessBlockConfiguration"] == _PRIVATE
            and json.loads(s3.get_bucket_policy(**owner)["Policy"]) == tls_only(_bucket_arn(names))
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        return "differs"
    return "present" if as_wanted else "differs"


def _bucket_arn(names: Names) -> str:
    return names.arn("s3", state_bucket(names), region="", account_id="")


def _make_bucket(session: boto3.Session, names: Names) -> None:
    s3, bucket = session.client("s3"), state_bucket(names)
    if _look_bucket(session, names) == "absent":
        where = {} if names.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": names.region}}
        s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced", **where)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=_PRIVATE)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=_encryption(names.arn("kms", state_alias(names))))
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [_LIFECYCLE]})
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(tls_only(_bucket_arn(names))))
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags(names).items()]})


def _look_data_key(session: boto3.Session, names: Names) -> State:
    try:
        read_secrets_file(session, names)
    except PreflightError:
        return "absent"
    return "present"


def _make_data_key(session: boto3.Session, names: Names) -> None:
    alias = state_alias(names)
    wrapped: bytes = session.client("kms").generate_data_key_without_plaintext(KeyId=alias, NumberOfBytes=32)["CiphertextBlob"]
    text = f"secretsprovider: {secrets_provider(names)}\nencryptedkey: {base64.b64encode(wrapped).decode()}\n"
    # Written once: another data key would make the secrets in the state unreadable.
    session.client("s3").put_object(Bucket=state_bucket(names), Key=SECRETS_KEY, Body=text.encode(), IfNoneMatch="*")
