"""Images held against their digests, and layers laid over one another."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from local.cloud.containers.images import Image, ImageError, ImageReference, ImageStore

REPOSITORY = "111111111111.dkr.ecr.us-east-1.amazonaws.com/r"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def layer(**files: str) -> bytes:
    return gzip.compress(archive(**files), mtime=0)


def found(image: Image) -> dict[str, str]:
    return {str(path.relative_to(image.rootfs)): path.read_text() for path in image.rootfs.rglob("*") if path.is_file()}


class Registry:
    """What is used of the ECR API, with layers as files."""

    def __init__(self, folder: Path, *layers: bytes, config: dict[str, Any] | None = None, base: str = "host") -> None:
        self._folder = folder
        self.fetched: list[str] = []
        details = json.dumps({"config": {"Env": ["A=b=c"], **(config or {})}}).encode()
        for blob in (details, *layers):
            self.path(digest(blob)).write_bytes(blob)
        self.layers = [digest(blob) for blob in layers]
        parts = [{"digest": name, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"} for name in self.layers]
        self.manifest = json.dumps({"config": {"digest": digest(details)}, "layers": parts, "annotations": {"dev.lockstep.base": base}})

    @property
    def reference(self) -> ImageReference:
        return ImageReference.parse(f"{REPOSITORY}@{digest(self.manifest.encode())}")

    def path(self, name: str) -> Path:
        return self._folder / name.replace(":", "-")

    def batch_get_image(self, **_: Any) -> dict[str, Any]:
        return {"images": [{"imageManifest": self.manifest}]}

    def get_download_url_for_layer(self, **arguments: Any) -> dict[str, Any]:
        self.fetched.append(arguments["layerDigest"])
        return {"downloadUrl": self.path(arguments["layerDigest"]).as_uri()}


def test_later_layers_hide_and_replace_what_earlier_ones_brought(tmp_path: Path) -> None:
    first = layer(**{"etc/kept": "1", "etc/gone": "2", "etc/changed": "3", "opaque/old": "4"})
    second = layer(**{"etc/.wh.gone": "", "etc/changed": "5", "opaque/.wh..wh..opq": "", "opaque/new": "6"})
    registry = Registry(tmp_path, first, second)
    image = ImageStore(tmp_path / "images").pull(registry.reference, registry)
    assert found(image) == {"etc/kept": "1", "etc/changed": "5", "opaque/new": "6"}
    assert (image.base, image.environment) == ("host", {"A": "b=c"})


def test_whiteouts_hide_nothing_of_their_own_layer_wherever_they_stand(tmp_path: Path) -> None:
    registry = Registry(
        tmp_path, layer(**{"opaque/old": "1", "gone": "2"}), layer(**{"opaque/new": "3", "opaque/.wh..wh..opq": "", ".wh.gone": ""})
    )
    assert found(ImageStore(tmp_path / "images").pull(registry.reference, registry)) == {"opaque/new": "3"}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress], ids=["tar", "gzip", "zstd"])
def test_layers_are_read_as_their_bytes_say_they_are_packed(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    registry = Registry(tmp_path, compress(archive(a="1")))
    assert found(ImageStore(tmp_path / "images").pull(registry.reference, registry)) == {"a": "1"}


def test_of_an_image_on_a_full_base_the_code_alone_is_fetched_and_its_own_variables_alone_are_set(tmp_path: Path) -> None:
    base = "docker.io/library/python@sha256:" + "1" * 64
    labels = {"dev.lockstep.code-layers": "1", "dev.lockstep.environment": "A PATH"}
    config = {"Env": ["LD_LIBRARY_PATH=/base/lib", "A=b"], "Labels": labels}
    registry = Registry(tmp_path, layer(**{"bin/python": "1"}), layer(**{"opt/program/code": "2"}), config=config, base=base)
    image = ImageStore(tmp_path / "images").pull(registry.reference, registry)
    assert found(image) == {"opt/program/code": "2"}
    assert registry.layers[0] not in registry.fetched
    assert image.can_run_here
    assert (image.base, image.environment) == (base, {"A": "b"})


def test_an_image_that_does_not_tell_its_code_from_its_base_can_not_run(tmp_path: Path) -> None:
    registry = Registry(tmp_path, layer(**{"bin/python": "1"}), base="docker.io/library/python@sha256:" + "1" * 64)
    image = ImageStore(tmp_path / "images").pull(registry.reference, registry)
    assert not image.can_run_here
    assert found(image) == {}


def test_a_layer_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path, layer(a="1" * 5000)[:-40])
    with pytest.raises(ImageError, match="its layers can't be unpacked"):
        ImageStore(tmp_path / "images").pull(registry.reference, registry)


def test_a_layer_with_a_flipped_bit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path, layer(a="1"))
    place = registry.path(registry.layers[0])
    damaged = bytearray(place.read_bytes())
    damaged[-1] ^= 1
    place.write_bytes(damaged)
    store = ImageStore(tmp_path / "images")
    with pytest.raises(ImageError, match="do not match their digest"):
        store.pull(registry.reference, registry)
    assert not list(store.folder.iterdir())


def test_a_manifest_that_is_not_the_one_asked_for_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path, layer(a="1"))
    asked = registry.reference
    registry.manifest = registry.manifest.replace('"host"', '"other"')
    with pytest.raises(ImageError, match="the manifest that the repository holds has the digest"):
        ImageStore(tmp_path / "images").pull(asked, registry)


def test_a_file_can_not_be_laid_outside_of_the_image(tmp_path: Path) -> None:
    registry = Registry(tmp_path, layer(**{"../../escaped": "1"}))
    with pytest.raises(ImageError, match="its layers can't be unpacked"):
        ImageStore(tmp_path / "images").pull(registry.reference, registry)
    assert not (tmp_path / "escaped").exists()
