"""Images held against their digests, and layers laid over one another."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from local.cloud.containers.images import ImageError, ImageReference, ImageStore

REPOSITORY = "111111111111.dkr.ecr.us-east-1.amazonaws.com/r"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


class Registry:
    """What is used of the ECR API, with layers as files."""

    def __init__(self, folder: Path, *layers: bytes) -> None:
        self._folder = folder
        config = json.dumps({"config": {"Env": ["A=b=c"]}}).encode()
        for blob in (config, *layers):
            self.path(digest(blob)).write_bytes(blob)
        self.layers = [digest(blob) for blob in layers]
        parts = [{"digest": name, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"} for name in self.layers]
        self.manifest = json.dumps({"config": {"digest": digest(config)}, "layers": parts, "annotations": {"dev.lockstep.base": "host"}})

    @property
    def reference(self) -> ImageReference:
        return ImageReference.parse(f"{REPOSITORY}@{digest(self.manifest.encode())}")

    def path(self, name: str) -> Path:
        return self._folder / name.replace(":", "-")

    def batch_get_image(self, **_: Any) -> dict[str, Any]:
        return {"images": [{"imageManifest": self.manifest}]}

    def get_download_url_for_layer(self, **arguments: Any) -> dict[str, Any]:
        return {"downloadUrl": self.path(arguments["layerDigest"]).as_uri()}


def test_later_layers_hide_and_replace_what_earlier_ones_brought(tmp_path: Path) -> None:
    first = layer(**{"etc/kept": "1", "etc/gone": "2", "etc/changed": "3", "opaque/old": "4"})
    second = layer(**{"etc/.wh.gone": "", "etc/changed": "5", "opaque/.wh..wh..opq": "", "opaque/new": "6"})
    registry = Registry(tmp_path, first, second)
    image = ImageStore(tmp_path / "images").pull(registry.reference, registry)
    found = {str(path.relative_to(image.rootfs)): path.read_text() for path in image.rootfs.rglob("*") if path.is_file()}
    assert found == {"etc/kept": "1", "etc/changed": "5", "opaque/new": "6"}
    assert (image.base, image.environment) == ("host", {"A": "b=c"})


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
