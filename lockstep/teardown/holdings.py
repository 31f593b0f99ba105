"""What an environment holds beyond what Pulumi made: objects, images, model packages. Counted, or removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

from botocore.exceptions import ClientError

from infra.errors import LockstepError, PreflightError
from infra.naming import BucketPurpose, Names, RepositoryPurpose

if TYPE_CHECKING:
    import boto3

_ABSENT = {"404", "NoSuchBucket", "RepositoryNotFoundException", "ResourceNotFound", "ValidationException"}
_BATCH = 1000


@dataclass(frozen=True)
class Holding:
    """Something that holds things.

    Attributes:
        kind: bucket, repository or model package group.
        count: of object versions, images or model packages in it.
    """

    kind: str
    name: str
    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.count} {self.unit}"


def count(session: boto3.Session, names: Names) -> list[Holding]:
    """What the environment holds now; empty holders and absent ones are left out."""
    found = [
        Holding("bucket", bucket, sum(1 for _ in _versions(session, bucket)), "object versions")
        for bucket in (names.bucket(purpose) for purpose in get_args(BucketPurpose))
    ]
    found += [
        Holding("repository", repository, sum(1 for _ in _images(session, repository)), "images")
        for repository in (names.repository(purpose) for purpose in get_args(RepositoryPurpose))
    ]
    packages = sum(1 for _ in _packages(session, names.model_package_group))
    found.append(Holding("model package group", names.model_package_group, packages, "model packages"))
    return [holding for holding in found if holding.count]


def check_removable(session: boto3.Session, names: Names) -> None:
    """Refuses, before anything is deleted, where the ledger holds what nobody may delete yet.

    The bucket's mode holds for what is written from now on; what it held when an object was written, the object itself says.

    Raises:
        PreflightError: the ledger is in compliance mode, or an object of it is.
    """
    s3, ledger = session.client("s3"), names.bucket("ledger")
    nobody = "nobody, not even the account's root, can delete it before its time"
    try:
        lock = s3.get_object_lock_configuration(Bucket=ledger)["ObjectLockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in (*_ABSENT, "ObjectLockConfigurationNotFoundError"):
            raise
        return
    if lock.get("Rule", {}).get("DefaultRetention", {}).get("Mode") == "COMPLIANCE":
        raise PreflightError(
            f"the ledger is in compliance mode: what is written to it, {nobody}",
            where=f"s3://{ledger}",
            remedy="Nothing was changed. Set promotion.ledgerMode: GOVERNANCE, deploy that, and try again; "
            "what was written before stays until its retention ends.",
        )
    for page in _unless_absent(s3.get_paginator("list_object_versions").paginate(Bucket=ledger)):
        for entry in page.get("Versions", []):
            said = s3.head_object(Bucket=ledger, Key=entry["Key"], VersionId=entry["VersionId"])
            until, now = said.get("ObjectLockRetainUntilDate"), parsedate_to_datetime(said["ResponseMetadata"]["HTTPHeaders"]["date"])
            if said.get("ObjectLockMode") == "COMPLIANCE" and until is not None and until > now:
                raise PreflightError(
                    f"evidence is kept in compliance mode until {until:%Y-%m-%d %H:%M} UTC: {nobody}",
                    where=f"s3://{ledger}/{entry['Key']}",
                    remedy="Nothing was changed. Try again after that time.",
                )


def remove(session: boto3.Session, names: Names) -> None:
    """Removes all of it. Objects under governance retention go too: an environment that must keep them is not disposable.

    Raises:
        LockstepError: something could not be removed.
    """
    sagemaker = session.client("sagemaker")
    for arn in list(_packages(session, names.model_package_group)):
        sagemaker.delete_model_package(ModelPackageName=arn)
    ecr = session.client("ecr")
    for purpose in get_args(RepositoryPurpose):
        repository = names.repository(purpose)
        images = _images(session, repository)
        while batch := list(islice(images, 100)):
            ecr.batch_delete_image(repositoryName=repository, imageIds=batch)
    for bucket_purpose in get_args(BucketPurpose):
        empty(session, names.bucket(bucket_purpose))


def empty(session: boto3.Session, bucket: str) -> int:
    """Deletes all versions of all objects of a bucket; how many. LockstepError if one stays."""
    s3 = session.client("s3")
    versions, removed = _versions(session, bucket), 0
    while batch := list(islice(versions, _BATCH)):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True}, BypassGovernanceRetention=True)
        if failed := answer.get("Errors"):
            said = f"{failed[0].get('Code')}: {failed[0].get('Message')}"
            raise LockstepError(f"{len(failed)} object versions can't be deleted ({said})", where=f"s3://{bucket}/{failed[0].get('Key')}")
        removed += len(batch)
    return removed


def _versions(session: boto3.Session, bucket: str) -> Iterator[dict[str, str]]:
    """All versions and delete markers, as DeleteObjects names them. Nothing if there is no such bucket."""
    pages = session.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in _unless_absent(pages):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            yield {"Key": entry["Key"], "VersionId": entry["VersionId"]}


def _images(session: boto3.Session, repository: str) -> Iterator[dict[str, str]]:
    pages = session.client("ecr").get_paginator("list_images").paginate(repositoryName=repository)
    for digest in {entry["imageDigest"] for page in _unless_absent(pages) for entry in page["imageIds"]}:
        yield {"imageDigest": digest}


def _packages(session: boto3.Session, group: str) -> Iterator[str]:
    pages = session.client("sagemaker").get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    for page in _unless_absent(pages):
        for entry in page["ModelPackageSummaryList"]:
            yield entry["ModelPackageArn"]


def _unless_absent(pages: Any) -> Iterator[dict[str, Any]]:
    try:
        yield from pages
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
