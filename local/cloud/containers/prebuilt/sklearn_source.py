"""The user's source archive of script mode: sourcedir.tar.gz in S3, unpacked into a folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from urllib.parse import urlparse


def fetch(uri: str, folder: Path) -> Path:
    """Download and unpack the archive at `uri` (s3://bucket/key.tar.gz)."""
    import boto3

    place = urlparse(uri)
    body = boto3.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        archive.extractall(folder, filter="data")
    return folder
