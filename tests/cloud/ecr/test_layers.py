"""Layers as ECR takes them, part by part, and gives them back, whole or in ranges."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

DATA = bytes(range(256)) * 40


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def ecr(lab: Any) -> Any:
    client = lab.session.client("ecr")
    for name in ("one", "two"):
        client.create_repository(repositoryName=name)
    return client


def upload(ecr: Any, repository: str, parts: list[tuple[int, bytes]]) -> str:
    name: str = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    for first, data in parts:
        ecr.upload_layer_part(
            repositoryName=repository, uploadId=name, partFirstByte=first, partLastByte=first + len(data) - 1, layerPartBlob=data
        )
    return name


def complete(ecr: Any, repository: str, name: str, *digests: str) -> Any:
    return ecr.complete_layer_upload(repositoryName=repository, uploadId=name, layerDigests=list(digests))


def fetch(url: str, wanted: str = "") -> tuple[int, bytes, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": wanted} if wanted else {})) as answer:
        return answer.status, answer.read(), answer.headers.get("Content-Range", "")


def test_a_layer_in_parts_is_one_and_can_be_read_in_ranges(ecr: Any) -> None:
    name = upload(ecr, "one", [(0, DATA[:6000]), (6000, DATA[6000:])])
    assert complete(ecr, "one", name, digest(DATA))["layerDigest"] == digest(DATA)
    url = ecr.get_download_url_for_layer(repositoryName="one", layerDigest=digest(DATA))["downloadUrl"]
    assert fetch(url) == (200, DATA, "")
    assert fetch(url, "bytes=100-199") == (206, DATA[100:200], f"bytes 100-199/{len(DATA)}")
    assert fetch(url, "bytes=10000-99999") == (206, DATA[10000:], f"bytes 10000-{len(DATA) - 1}/{len(DATA)}")
    with pytest.raises(urllib.error.HTTPError, match="416"):
        fetch(url, f"bytes={len(DATA)}-")


def test_uploads_that_go_wrong_are_refused(ecr: Any) -> None:
    with pytest.raises(ClientError) as raised:
        upload(ecr, "one", [(0, b"abc"), (4, b"e")])
    assert raised.value.response["Error"]["Code"] == "InvalidLayerPartException"
    with pytest.raises(ClientError) as raised:
        complete(ecr, "one", upload(ecr, "one", []), digest(b""))
    assert raised.value.response["Error"]["Code"] == "EmptyUploadException"
    wrong = upload(ecr, "one", [(0, b"abc")])
    with pytest.raises(ClientError) as raised:
        complete(ecr, "one", wrong, digest(b"abd"))
    assert raised.value.response["Error"]["Code"] == "InvalidLayerException"


def test_a_layer_that_is_there_is_said_to_be_and_stays_as_it_is(ecr: Any) -> None:
    for repository in ("one", "two"):
        complete(ecr, repository, upload(ecr, repository, [(0, b"shared")]), digest(b"shared"))
    with pytest.raises(ClientError) as raised:
        complete(ecr, "two", upload(ecr, "two", [(0, b"shared")]), digest(b"shared"))
    assert raised.value.response["Error"]["Code"] == "LayerAlreadyExistsException"
    url = ecr.get_download_url_for_layer(repositoryName="two", layerDigest=digest(b"shared"))["downloadUrl"]
    assert fetch(url)[1] == b"shared"
