"""Buckets and the configurations that are resources of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.provider.api import Api
from local.provider.errors import AwsError
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Tags
from local.provider.rules import bucket_name

NO_BUCKET = ("NoSuchBucket", "404", "NotFound")


def delete_versions(api: Api, bucket: str, prefix: str = "", *, only: str | None = None, bypass: bool = True) -> None:
    """Deletes every version and delete marker of a bucket, of a prefix, or of the one key `only`."""
    params: dict[str, Any] = {"Bucket": bucket, **({"Prefix": prefix} if prefix else {})}
    while True:
        page = api.call("s3", "ListObjectVersions", **params)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in found if only is None or o["Key"] == only]
        for at in range(0, len(objects), 1000):
            _delete_batch(api, bucket, objects[at : at + 1000], bypass)
        if not page.get("IsTruncated"):
            return
        params |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}


def _delete_batch(api: Api, bucket: str, objects: list[dict[str, str]], bypass: bool) -> None:
    extra = {"BypassGovernanceRetention": True} if bypass else {}
    answer = api.call("s3", "DeleteObjects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True}, **extra)
    for failed in answer.get("Errors") or []:
        raise AwsError("s3", "DeleteObjects", failed.get("Code", "Unknown"), f"{failed.get('Key')}: {failed.get('Message')}")


def _create_bucket(api: Api, inputs: Properties) -> str:
    params: dict[str, Any] = {"Bucket": inputs["bucket"]}
    if api.region != "us-east-1":
        params["CreateBucketConfiguration"] = {"LocationConstraint": api.region}
    if inputs.get("objectLockEnabled"):
        params["ObjectLockEnabledForBucket"] = True
    api.call("s3", "CreateBucket", **params)
    return str(inputs["bucket"])


def _put_tags(api: Api, bucket: str, values: Properties, tags: Mapping[str, str]) -> None:
    if tags:
        api.call("s3", "PutBucketTagging", Bucket=bucket, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in sorted(tags.items())]})
    else:
        api.call("s3", "DeleteBucketTagging", Bucket=bucket)


def _read_bucket(api: Api, identity: str, known: Properties) -> Properties | None:
    head = api.try_call("s3", "HeadBucket", NO_BUCKET, Bucket=identity)
    if head is None:
        return None
    lock = api.try_call("s3", "GetObjectLockConfiguration", ("ObjectLockConfigurationNotFoundError", *NO_BUCKET), Bucket=identity)
    enabled = ((lock or {}).get("ObjectLockConfiguration") or {}).get("ObjectLockEnabled") == "Enabled"
    return {
        "bucket": identity,
        "bucketDomainName": f"{identity}.s3.{api.dns_suffix}",
        "bucketRegion": api.region,
        "bucketRegionalDomainName": f"{identity}.s3.{api.region}.{api.dns_suffix}",
        "hostedZoneId": _ZONES.get(api.region),
        "objectLockEnabled": enabled,
        "forceDestroy": known.get("forceDestroy", False),
        "bucketPrefix": known.get("bucketPrefix"),
    }


# Route 53 zones of S3 website endpoints (AWS General Reference, "Amazon S3 website endpoints").
_ZONES = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}


def _delete_bucket(api: Api, identity: str, state: Properties) -> None:
    try:
        api.call("s3", "DeleteBucket", Bucket=identity)
    except AwsError as error:
        if error.code != "BucketNotEmpty" or not state.get("forceDestroy"):
            raise
        delete_versions(api, identity)
        api.call("s3", "DeleteBucket", Bucket=identity)


BUCKET = ResourceType(
    token="aws:s3/bucket:Bucket",
    service="s3",
    create=Call("CreateBucket", fields=("bucket",)),
    identity="{bucket}",
    delete=Call("DeleteBucket", {"Bucket": "$id"}),
    absent=NO_BUCKET,
    replace=("bucket", "bucketPrefix", "objectLockEnabled"),
    name=AutoName("bucket", 63, lower=True, prefix="bucketPrefix"),
    defaults={"forceDestroy": False},
    computed=("objectLockEnabled", "bucketPrefix"),
    local=("forceDestroy", "objectLockEnabled", "bucketPrefix"),
    outputs={"arn": "arn:{partition}:s3:::{id}"},
    tags=Tags(
        create=None,
        read=Read("GetBucketTagging", {"Bucket": "$id"}, at="TagSet", absent=("NoSuchTagSet", *NO_BUCKET)),
        put=_put_tags,
    ),
    check=bucket_name,
    on_create=_create_bucket,
    on_read=_read_bucket,
    on_delete=_delete_bucket,
)


def _part(
    name: str,
    put: Call,
    read: Read,
    delete: Call | None,
    *,
    local: tuple[str, ...] = ("expectedBucketOwner",),
    **more: Any,
) -> ResourceType:
    """A configuration of a bucket: one call sets it, and its id is the bucket's name."""
    call = Call(put.operation, {"Bucket": "$bucket", **put.params})
    main = Read(read.operation, {"Bucket": "$id"}, at=read.at, fields=read.fields, absent=(*read.absent, *NO_BUCKET), gone=read.gone)
    return ResourceType(
        token=f"aws:s3/{name[0].lower()}{name[1:]}:{name}",
        service="s3",
        create=call,
        identity="{bucket}",
        reads=(main,),
        delete=delete and Call(delete.operation, {"Bucket": "$id", **delete.params}),
        upsert=True,
        absent=main.absent,
        replace=("bucket", "expectedBucketOwner"),
        local=("bucket", *local),
        delete_before_replace=True,
        **more,
    )


def _suspend(api: Api, identity: str, state: Properties) -> None:
    """Versioning cannot be taken away, only suspended; a bucket with object lock keeps it."""
    if (state.get("versioningConfiguration") or {}).get("status") != "Enabled":
        return
    try:
        api.call("s3", "PutBucketVersioning", Bucket=identity, VersioningConfiguration={"Status": "Suspended"})
    except AwsError as error:
        if error.code not in ("InvalidBucketState", *NO_BUCKET):
            raise


VERSIONING = _part(
    "BucketVersioning",
    Call("PutBucketVersioning", {"VersioningConfiguration": "$versioningConfiguration"}),
    Read("GetBucketVersioning", fields={"versioningConfiguration": "@"}, gone="Status==null"),
    None,
    on_delete=_suspend,
)

ENCRYPTION = _part(
    "BucketServerSideEncryptionConfiguration",
    Call("PutBucketEncryption", {"ServerSideEncryptionConfiguration": {"Rules": "$rules"}}),
    Read("GetBucketEncryption", at="ServerSideEncryptionConfiguration", absent=("ServerSideEncryptionConfigurationNotFoundError",)),
    Call("DeleteBucketEncryption"),
)

PUBLIC_ACCESS = _part(
    "BucketPublicAccessBlock",
    Call(
        "PutPublicAccessBlock",
        {
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": "$blockPublicAcls",
                "BlockPublicPolicy": "$blockPublicPolicy",
                "IgnorePublicAcls": "$ignorePublicAcls",
                "RestrictPublicBuckets": "$restrictPublicBuckets",
            }
        },
    ),
    Read("GetPublicAccessBlock", at="PublicAccessBlockConfiguration", absent=("NoSuchPublicAccessBlockConfiguration",)),
    Call("DeletePublicAccessBlock"),
    local=("skipDestroy",),
    defaults={"blockPublicAcls": False, "blockPublicPolicy": False, "ignorePublicAcls": False, "restrictPublicBuckets": False},
)

POLICY = _part(
    "BucketPolicy",
    Call("PutBucketPolicy", {"Policy": "$policy"}),
    Read("GetBucketPolicy", fields={"policy": "Policy"}, absent=("NoSuchBucketPolicy",)),
    Call("DeleteBucketPolicy"),
    local=(),
    documents=("policy",),
)

LIFECYCLE = _part(
    "BucketLifecycleConfiguration",
    Call(
        "PutBucketLifecycleConfiguration",
        {"LifecycleConfiguration": {"Rules": "$rules"}, "TransitionDefaultMinimumObjectSize": "$transitionDefaultMinimumObjectSize"},
    ),
    Read("GetBucketLifecycleConfiguration", absent=("NoSuchLifecycleConfiguration",)),
    Call("DeleteBucketLifecycle"),
    computed=("transitionDefaultMinimumObjectSize",),
)

OWNERSHIP = _part(
    "BucketOwnershipControls",
    Call("PutBucketOwnershipControls", {"OwnershipControls": {"Rules": ["$rule"]}}),
    Read("GetBucketOwnershipControls", at="OwnershipControls.Rules[0]", fields={"rule": "@"}, absent=("OwnershipControlsNotFoundError",)),
    Call("DeleteBucketOwnershipControls"),
    local=(),
)

LOGGING = _part(
    "BucketLogging",
    Call(
        "PutBucketLogging",
        {
            "BucketLoggingStatus": {
                "LoggingEnabled": {
                    "TargetBucket": "$targetBucket",
                    "TargetPrefix": "$targetPrefix",
                    "TargetGrants": "$targetGrants",
                    "TargetObjectKeyFormat": "$targetObjectKeyFormat",
                }
            }
        },
    ),
    Read("GetBucketLogging", at="LoggingEnabled"),
    Call("PutBucketLogging", {"BucketLoggingStatus": {}}),
)

OBJECT_LOCK = _part(
    "BucketObjectLockConfiguration",
    Call("PutObjectLockConfiguration", {"ObjectLockConfiguration": {"ObjectLockEnabled": "$objectLockEnabled", "Rule": "$rule"}}),
    Read(
        "GetObjectLockConfiguration",
        at="ObjectLockConfiguration",
        absent=("ObjectLockConfigurationNotFoundError",),
        gone="Rule==null",
    ),
    Call("PutObjectLockConfiguration", {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}),
    defaults={"objectLockEnabled": "Enabled"},
)

TYPES = (BUCKET, VERSIONING, ENCRYPTION, PUBLIC_ACCESS, POLICY, LIFECYCLE, OWNERSHIP, LOGGING, OBJECT_LOCK)

__all__ = ["NO_BUCKET", "TYPES", "delete_versions"]
