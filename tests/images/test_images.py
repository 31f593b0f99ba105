"""Images: the same source gives the same bytes, and the registry holds exactly these."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import ConflictError, UsageError
from lockstep.images import archive
from lockstep.images.blobs import digest_of
from lockstep.images.image import MANIFEST, Image, Layer, build
from lockstep.images.push import push
from lockstep.images.sources import toolkit_image, workload_image

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "demo/mortgage-bands"


def content(image: Image, digest: str) -> bytes:
    (blob,) = (each for each in image.blobs if each.digest == digest)
    with blob.open() as stream:
        return stream.read()


def files(image: Image) -> dict[str, tarfile.TarInfo]:
    found = {}
    for layer in json.loads(image.manifest)["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content(image, layer["digest"])))) as opened:
            found |= {entry.name: entry for entry in opened.getmembers()}
    return found


@given(st.binary(max_size=200_000))
def test_the_gzip_stream_is_one_that_others_read(data: bytes) -> None:
    written = io.BytesIO()
    archive.write_layer({"opt/data": archive.File(data)}, written)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(written.getvalue()))) as opened:
        member = opened.extractfile("opt/data")
        assert member is not None
        assert member.read() == data


def test_a_copy_of_the_source_elsewhere_gives_the_same_digest(tmp_path: Path) -> None:
    for part in ("infra", "pipelines", "workloads"):
        shutil.copytree(ROOT / part, tmp_path / part, copy_function=shutil.copyfile)
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    (tmp_path / "pipelines/__pycache__").mkdir(exist_ok=True)
    (tmp_path / "pipelines/__pycache__/gates.pyc").write_bytes(b"noise")
    assert workload_image(tmp_path, "mortgage").digest == workload_image(ROOT, "mortgage").digest
    assert toolkit_image(tmp_path).digest == toolkit_image(ROOT).digest
    (tmp_path / "workloads/mortgage/gates.yaml").write_text("gates: []")
    assert workload_image(tmp_path, "mortgage").digest != workload_image(ROOT, "mortgage").digest


def test_entries_carry_no_time_owner_or_machine() -> None:
    for name, entry in files(workload_image(ROOT, "mortgage")).items():
        assert (entry.mtime, entry.uid, entry.gid, entry.uname) == (0, 0, 0, ""), name
        assert entry.mode == (0o755 if entry.isdir() or "/bin/" in name else 0o644), name


def test_the_toolkit_image_holds_no_workload_and_not_its_own_digest() -> None:
    names = set(files(toolkit_image(ROOT)))
    assert {"opt/program/pipelines/jobs/gates.py", "opt/program/infra/outputs.py", "opt/program/requirements.lock"} <= names
    assert not [name for name in names if "workloads" in name or "definitions" in name]
    assert {name for name in names if name.startswith("opt/program/infra/")} == {
        f"opt/program/infra/{name}.py" for name in ("__init__", "errors", "outputs")
    }


def test_the_workload_image_says_what_it_is() -> None:
    image = workload_image(ROOT, "mortgage")
    manifest = json.loads(image.manifest)
    config = json.loads(content(image, manifest["config"]["digest"]))
    assert config["config"]["Labels"]["dev.lockstep.base"] == "host"
    assert config["config"]["Labels"]["dev.lockstep.workload"] == "mortgage"
    assert "LOCKSTEP_WORKLOAD=mortgage" in config["config"]["Env"]
    assert {"opt/program/bin/train", "opt/program/bin/serve", "opt/program/workloads/mortgage/contract.yaml"} <= set(files(image))


def test_an_overlay_replaces_files_of_the_workload() -> None:
    image = workload_image(ROOT, "mortgage", overlay=OVERLAY)
    assert image.digest != workload_image(ROOT, "mortgage").digest
    assert set(files(image)) == set(files(workload_image(ROOT, "mortgage")))


def test_a_workload_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no workload 'nope'"):
        workload_image(ROOT, "nope")


def test_the_manifest_is_one_that_sagemaker_takes() -> None:
    """It refuses OCI's media types, so these are Docker's."""
    manifest = json.loads(workload_image(ROOT, "mortgage").manifest)
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}


class Registry:
    """ECR as far as pushing needs it, with the errors of its API."""

    def __init__(self) -> None:
        self.layers: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.uploads: list[bytes] = []

    def batch_check_layer_availability(self, repositoryName: str, layerDigests: list[str]) -> dict[str, object]:
        return {"layers": [{"layerDigest": each, "layerAvailability": "AVAILABLE"} for each in layerDigests if each in self.layers]}

    def initiate_layer_upload(self, repositoryName: str) -> dict[str, str]:
        self.uploads.append(b"")
        return {"uploadId": str(len(self.uploads) - 1)}

    def upload_layer_part(self, repositoryName: str, uploadId: str, partFirstByte: int, partLastByte: int, layerPartBlob: bytes) -> None:
        assert partFirstByte == len(self.uploads[int(uploadId)])
        assert partLastByte == partFirstByte + len(layerPartBlob) - 1
        self.uploads[int(uploadId)] += layerPartBlob

    def complete_layer_upload(self, repositoryName: str, uploadId: str, layerDigests: list[str]) -> None:
        blob = self.uploads[int(uploadId)]
        assert [digest_of(blob)] == layerDigests
        self.layers[layerDigests[0]] = blob

    def put_image(self, repositoryName: str, imageManifest: str, imageTag: str, imageDigest: str, **_: str) -> dict[str, object]:
        digest = digest_of(imageManifest.encode())
        held = self.tags.setdefault(imageTag, digest)
        if held != digest:
            raise ClientError({"Error": {"Code": "ImageTagAlreadyExistsException", "Message": "taken"}}, "PutImage")
        return {"image": {"imageId": {"imageDigest": digest, "imageTag": imageTag}}}


def test_a_push_sends_each_layer_once() -> None:
    registry, image = Registry(), workload_image(ROOT, "mortgage")
    lines: list[str] = []
    assert push(registry, "repository", image, lines.append) == image.digest
    assert registry.layers == {blob.digest: content(image, blob.digest) for blob in image.blobs}
    assert push(registry, "repository", image, lines.append) == image.digest
    assert len(registry.uploads) == len(image.blobs)
    assert [line.split("  ")[-1] for line in lines] == ["pushed"] * len(image.blobs) + ["already there"] * len(image.blobs)


def test_a_tag_that_names_other_bytes_is_a_conflict() -> None:
    registry, image = Registry(), workload_image(ROOT, "mortgage")
    registry.tags[image.tag] = "sha256:" + "0" * 64
    with pytest.raises(ConflictError, match=f"the tag {image.tag} names another image"):
        push(registry, "repository", image)


def test_the_calls_fit_the_api() -> None:
    """Each request is checked against the service model by a stub that answers it."""
    image = toolkit_image(ROOT)
    client = boto3.client("ecr", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("batch_check_layer_availability", {"layers": []})
        for digest in [blob.digest for blob in image.blobs]:
            stub.add_response("initiate_layer_upload", {"uploadId": "u", "partSize": 10})
            stub.add_response("upload_layer_part", {})
            stub.add_response(
                "complete_layer_upload", {"layerDigest": digest}, {"repositoryName": "toolkit", "uploadId": "u", "layerDigests": [digest]}
            )
        expected = {"repositoryName": "toolkit", "imageManifest": ANY, "imageManifestMediaType": MANIFEST, "imageTag": image.tag,
                    "imageDigest": image.digest}  # fmt: skip
        stub.add_response("put_image", {"image": {"imageId": {"imageDigest": image.digest}}}, expected)
        assert push(client, "toolkit", image) == image.digest
        stub.assert_no_pending_responses()


def test_a_large_layer_is_sent_in_parts_and_its_progress_told_by_tenths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.images.push.PART", 1000)
    layer = Layer.of({"large": archive.File(bytes(30_000))})
    image = build([layer], environment={}, working_folder="/", command=[], labels={})
    registry = Registry()
    lines: list[str] = []
    push(registry, "repository", image, lines.append)
    assert registry.layers[layer.blob.digest] == content(image, layer.blob.digest)
    told = [line.split("  ")[-1] for line in lines]
    assert 8 <= len([word for word in told if word.endswith("%")]) <= 10
    assert told[-2:] == ["pushed", "pushed"]
