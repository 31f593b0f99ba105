"""Data of jobs between S3 and folders, as SageMaker moves it, through the S3 API with the rights of the job's role."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import ClientError


class TransferError(Exception):
    """Data that can't be brought in or taken out, worded for a job's failure reason."""


def split(uri: str) -> tuple[str, str]:
    """s3://bucket/some/key -> ("bucket", "some/key")."""
    place = urlparse(uri)
    if place.scheme != "s3" or not place.netloc:
        raise TransferError(f"{uri} is not an S3 URI")
    return place.netloc, place.path.lstrip("/")


def download(s3: Any, uri: str, folder: Path, data_type: str = "S3Prefix") -> None:
    """Bring what `uri` names into `folder`: each object of a (literal) prefix, which may be just one, or what a manifest lists."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = False
        for bucket, key, name in _manifest(s3, uri) if data_type == "ManifestFile" else _prefix(s3, uri):
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise TransferError(f"the key {key} in {bucket} leads out of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for chunk in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20):
                    file.write(chunk)
            found = True
    except ClientError as error:
        raise TransferError(f"{uri}: {_reason(error)}") from error
    if not found:
        raise TransferError(
            f"No S3 objects found under S3 URL {uri!r} given in input data source. Please ensure that the bucket exists, that objects "
            "exist under that S3 prefix, and that the role has s3:ListBucket permission on the bucket"
        )


def upload(s3: Any, folder: Path, uri: str, kms_key: str | None = None) -> int:
    """Put every regular file below `folder` under `uri`; links are left out. Returns how many there were."""
    bucket, prefix = split(uri)
    count = 0
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        key = "/".join(filter(None, [prefix.rstrip("/"), path.relative_to(folder).as_posix()]))
        with path.open("rb") as body:
            _put(s3, bucket, key, body, kms_key)
        count += 1
    return count


def upload_archive(s3: Any, folder: Path, uri: str, scratch: Path, kms_key: str | None = None) -> None:
    """Put the contents of `folder` as one .tar.gz at `uri`. The same contents give the same bytes."""
    with (
        scratch.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, path.relative_to(folder).as_posix())
            entry.mtime = entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            if entry.isfile():
                with path.open("rb") as body:
                    archive.addfile(entry, body)
            else:
                archive.addfile(entry)
    bucket, key = split(uri)
    with scratch.open("rb") as body:
        _put(s3, bucket, key, body, kms_key)
    scratch.unlink()


def _prefix(s3: Any, uri: str) -> Iterator[tuple[str, str, str]]:
    bucket, prefix = split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            if not key.endswith("/"):
                yield bucket, key, _local_name(prefix, key)


def _local_name(prefix: str, key: str) -> str:
    """The path of an object in its folder: what follows the folder's name, or, where a prefix ends within a name, that whole name."""
    folder = prefix.rstrip("/") + "/"
    if prefix and key.startswith(folder):
        return key[len(folder) :]
    return key[prefix.rfind("/") + 1 :]


def _manifest(s3: Any, uri: str) -> Iterator[tuple[str, str, str]]:
    bucket, key = split(uri)
    entries = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    if not entries or not isinstance(entries[0], dict) or "prefix" not in entries[0]:
        raise TransferError(f'the manifest {uri} must begin with {{"prefix": "s3://..."}}')
    base_bucket, base = split(entries[0]["prefix"])
    for name in entries[1:]:
        yield base_bucket, base + name, name


def _put(s3: Any, bucket: str, key: str, body: Any, kms_key: str | None) -> None:
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body, **encryption)
    except ClientError as error:
        raise TransferError(f"s3://{bucket}/{key}: {_reason(error)}") from error


def _reason(error: ClientError) -> str:
    details = error.response["Error"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return f"{details.get('Code')} ({status}): {details.get('Message', '')}"
