"""Images between registries: by parts, past trouble, checked; and what an image may stand on."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import IntegrityError, LockstepError, PreflightError
from pipelines.promotion import images
from pipelines.promotion.candidate import ImageName

FULL = "public.ecr.aws/docker/library/python@sha256:" + "1" * 64
PART = 1000
Answer = Callable[[bytes, int, int], tuple[int, bytes]]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def honest(data: bytes, first: int, last: int) -> tuple[int, bytes]:
    return 206, data[first : last + 1]


class Registry:
    """Both registries as the seam shows them: the source's layers are served over HTTP, the target keeps what comes."""

    def __init__(self, url: str, labels: dict[str, str] | None = None) -> None:
        self.url = url
        config = json.dumps({"config": {"Labels": labels or {}}}).encode()
        layers = [bytes([number]) * size for number, size in ((1, 2500), (2, 10), (3, PART))]
        self.blobs = {digest(blob): blob for blob in (config, *layers)}
        self.sizes = [len(blob) for blob in (config, *layers)]
        parts = [{"digest": name, "size": len(blob)} for name, blob in self.blobs.items()]
        self.manifest = json.dumps({"mediaType": "application/x", "config": parts[0], "layers": [*parts[1:], parts[1]]})
        self.answers: list[Answer] = []
        self.held: dict[str, bytes] = {}
        self.uploads: dict[str, list[bytes]] = {}
        self.images: set[str] = {"source"}
        self.slept: list[float] = []

    def name(self, account: str) -> ImageName:
        return ImageName.parse(f"{'1' * 12}.dkr.ecr.us-east-1.amazonaws.com/{account}@{digest(self.manifest.encode())}", "test")

    # the seam
    def image(self, *, repository: str, digest: str, registry: str) -> dict[str, Any] | None:
        return {"manifest": self.manifest, "media_type": "", "tags": ["one"]} if repository in self.images else None

    def layer(self, *, repository: str, digest: str, registry: str) -> str:
        return f"{self.url}/{digest}"

    def client(self, service: str) -> Registry:
        return self

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    # ECR's API
    def batch_check_layer_availability(self, layerDigests: list[str], **_: str) -> dict[str, Any]:
        return {"layers": [{"layerAvailability": "AVAILABLE"} for name in layerDigests if name in self.held]}

    def initiate_layer_upload(self, **_: str) -> dict[str, str]:
        self.uploads[str(len(self.uploads))] = []
        return {"uploadId": str(len(self.uploads) - 1)}

    def upload_layer_part(self, uploadId: str, partFirstByte: int, partLastByte: int, layerPartBlob: bytes, **_: str) -> None:
        assert partFirstByte == sum(map(len, self.uploads[uploadId]))
        assert partLastByte == partFirstByte + len(layerPartBlob) - 1
        self.uploads[uploadId].append(layerPartBlob)

    def complete_layer_upload(self, uploadId: str, layerDigests: list[str], **_: str) -> None:
        if layerDigests[0] in self.held:
            raise ClientError({"Error": {"Code": "LayerAlreadyExistsException", "Message": ""}}, "CompleteLayerUpload")
        self.held[layerDigests[0]] = b"".join(self.uploads[uploadId])

    def put_image(self, repositoryName: str, imageManifest: str, **_: str) -> None:
        assert imageManifest == self.manifest
        self.images.add(repositoryName)


@contextmanager
def serving(answer: Callable[[str, int, int], tuple[int, bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
            assert found is not None
            status, data = answer(self.path.lstrip("/"), int(found[1]), int(found[2]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(images, "PART", PART)

    def answer(name: str, first: int, last: int) -> tuple[int, bytes]:
        how = found.answers.pop(0) if found.answers else honest
        return how(found.blobs[name], first, last)

    with serving(answer) as url:
        found = Registry(url)
        yield found


def copy(registry: Registry, progress: Callable[[str], None] = lambda _: None) -> None:
    images.copy(registry, registry.name("source"), registry.name("target"), progress)  # type: ignore[arg-type]


def test_an_image_is_copied_as_it_is_by_parts_and_each_layer_once(registry: Registry) -> None:
    lines: list[str] = []
    copy(registry, lines.append)
    assert registry.held == registry.blobs
    assert [len(parts) for parts in registry.uploads.values()] == [1, 3, 1, 1]
    assert [line.split("  ")[-1] for line in lines] == ["copied"] * 4
    assert "target" in registry.images
    copy(registry, lines.append)
    assert len(lines) == 4


def test_layers_that_are_there_are_not_carried(registry: Registry) -> None:
    first, second = list(registry.blobs)[:2]
    registry.held = {first: registry.blobs[first], second: registry.blobs[second]}
    copy(registry)
    assert registry.held == registry.blobs
    assert len(registry.uploads) == 2


@pytest.mark.parametrize(
    "trouble",
    [lambda *_: (503, b""), lambda data, first, last: (206, data[first:last]), lambda data, first, last: (200, data)],
    ids=["refused", "cut short", "from the beginning again"],
)
def test_a_part_that_does_not_come_whole_is_asked_for_again(registry: Registry, trouble: Answer) -> None:
    registry.answers = [honest, honest, trouble, trouble]
    copy(registry)
    assert registry.held == registry.blobs
    assert registry.slept == [1, 2]


def test_trouble_that_stays_is_said_and_leaves_no_image(registry: Registry) -> None:
    registry.answers = [honest, *[lambda *_: (500, b"")] * 4]
    with pytest.raises(LockstepError, match="a layer can't be read: HTTP Error 500") as raised:
        copy(registry)
    assert "from byte 0" in str(raised.value.where)
    assert "target" not in registry.images


def test_bytes_that_are_not_the_digests_are_not_completed(registry: Registry) -> None:
    registry.answers = [honest, honest, lambda data, first, last: (206, b"!" * (last - first + 1))]
    with pytest.raises(IntegrityError, match="a layer's bytes have digest"):
        copy(registry)
    assert list(registry.held) == list(registry.blobs)[:1]
    assert "target" not in registry.images


@pytest.mark.parametrize(
    ("base", "problem"),
    [
        (FULL, None),
        ("host", "rehearsal only"),
        (None, "does not say by digest what it stands on"),
        ("python:3.12", "but 'python:3.12'"),
    ],
)
@pytest.mark.parametrize("place", ["label", "annotation"])
def test_what_an_image_may_stand_on(registry: Registry, base: str | None, problem: str | None, place: str) -> None:
    labels = {"dev.lockstep.base": base} if base else {}
    held = Registry(registry.url, labels if place == "label" else {})
    registry.blobs = held.blobs
    manifest = {**json.loads(held.manifest), **({"annotations": labels} if place == "annotation" else {})}

    def check(allow_host: bool) -> None:
        images.check_base(held, held.name("source"), manifest, allow_host=allow_host)  # type: ignore[arg-type]

    check(allow_host=True)
    if problem is None:
        check(allow_host=False)
    else:
        with pytest.raises(PreflightError, match=problem):
            check(allow_host=False)
