"""A container image: layers, config and manifest, each named by the digest of its bytes.

Config and layers follow the OCI image specification 1.1, which took them over from Docker unchanged. The manifest names them by Docker's
media types (image manifest version 2, schema 2), because SageMaker refuses a model whose image has an OCI manifest ("Unsupported manifest
media type application/vnd.oci.image.manifest.v1+json").
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from lockstep.images.archive import File, write_layer
from lockstep.images.base import Base
from lockstep.images.blobs import digest_of

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
EPOCH = "1970-01-01T00:00:00Z"
_TOOL = "lockstep image build"
# Of a base's config these go on to the image; what it starts, and where, is the image's own.
_INHERITED = ("User", "ExposedPorts", "Volumes", "StopSignal")


@dataclass(frozen=True)
class Blob:
    """Bytes of an image: their digest, their size, and a way to read them."""

    digest: str
    size: int
    open: Callable[[], AbstractContextManager[BinaryIO]]

    @classmethod
    def of(cls, data: bytes) -> Blob:
        return cls(digest_of(data), len(data), partial(_reading, data))


@contextmanager
def _reading(data: bytes) -> Iterator[BinaryIO]:
    yield io.BytesIO(data)


@dataclass(frozen=True)
class Layer:
    """A layer: `blob` is the compressed archive, `diff_id` the digest of the uncompressed one."""

    blob: Blob
    diff_id: str

    @classmethod
    def of(cls, files: Mapping[str, File]) -> Layer:
        stream = io.BytesIO()
        written = write_layer(files, stream)
        return cls(Blob.of(stream.getvalue()), written.diff_id)


@dataclass(frozen=True)
class Image:
    """A whole image. `digest` is what a reference `repository@sha256:...` names.

    `blobs`: the layers, lowest first, and the config, in the order in which they should be uploaded. `base`: None for the host.
    """

    manifest: bytes
    blobs: tuple[Blob, ...]
    labels: Mapping[str, str]
    base: Base | None = None

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def tag(self) -> str:
        """An immutable tag: the beginning of the digest, so that equal images have equal tags and others can't clash."""
        return self.digest.removeprefix("sha256:")[:16]

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


def build(
    layers: Sequence[Layer],
    *,
    base: Base | None = None,
    environment: Mapping[str, str],
    working_folder: str,
    command: list[str],
    labels: Mapping[str, str],
) -> Image:
    """Lay layers (lowest first) over a base, for linux/amd64.

    `environment` joins the base's and wins; labels join the base's and win. The base's entry point is dropped, so that a container starts
    the image's own programs.
    """
    below = [Layer(Blob(each.digest, each.size, partial(base.open, each.digest)), each.diff_id) for each in base.layers] if base else []
    stack = [*below, *layers]
    inherited = base.config if base else {}
    document = base.document if base else {"architecture": "amd64", "os": "linux"}
    config = _json(
        {
            **{key: document[key] for key in ("architecture", "os", "os.version", "os.features", "variant") if key in document},
            "created": EPOCH,
            "config": {
                **{key: inherited[key] for key in _INHERITED if inherited.get(key)},
                "Env": [f"{name}={value}" for name, value in {**(base.environment if base else {}), **environment}.items()],
                "WorkingDir": working_folder,
                "Cmd": command,
                "Labels": {**(inherited.get("Labels") or {}), **labels},
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in stack]},
            "history": [*_history(document, len(below)), *({"created": EPOCH, "created_by": _TOOL} for _ in layers)],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": layer.blob.digest, "size": layer.blob.size} for layer in stack],
        }
    )
    blobs = {blob.digest: blob for blob in [*(layer.blob for layer in stack), Blob.of(config)]}  # a base may name a layer twice
    return Image(manifest=manifest, blobs=tuple(blobs.values()), labels=dict(labels), base=base)


def _history(document: Mapping[str, Any], layers: int) -> list[Any]:
    """A base's own history where it fits its layers, as readers count on one entry for each."""
    found = list(document.get("history") or [])
    if sum(not entry.get("empty_layer") for entry in found) == layers:
        return found
    return [{"created": EPOCH, "created_by": "base"} for _ in range(layers)]


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
