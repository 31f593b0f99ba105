"""An OCI image in memory: layers, config and manifest, each named by the digest of its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockstep.images.archive import File, gzip, tar

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EPOCH = "1970-01-01T00:00:00Z"


def digest(data: bytes) -> str:
    """`sha256:` and the hex digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Image:
    """A whole image. `digest` is what a reference `repository@sha256:...` names.

    `blobs`: digest -> bytes of the config and the layers, in the order in which they should be uploaded.
    """

    manifest: bytes
    blobs: Mapping[str, bytes]
    labels: Mapping[str, str]

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def tag(self) -> str:
        """An immutable tag: the beginning of the digest, so that equal images have equal tags and others can't clash."""
        return self.digest.removeprefix("sha256:")[:16]

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(len(blob) for blob in self.blobs.values())


def build(
    layers: Sequence[Mapping[str, File]],
    *,
    environment: Mapping[str, str],
    working_folder: str,
    command: list[str],
    labels: Mapping[str, str],
) -> Image:
    """Build an image for linux/amd64 from layers (lowest first).

    Follows the OCI image specification 1.1: config `rootfs.diff_ids` name the uncompressed layers, the manifest names the
    compressed ones. Labels stand in the config and, as annotations, in the manifest.
    """
    archives = [tar(layer) for layer in layers]
    blobs = [gzip(archive) for archive in archives]
    config = _json(
        {
            "created": EPOCH,
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": [f"{name}={value}" for name, value in environment.items()],
                "WorkingDir": working_folder,
                "Cmd": command,
                "Labels": dict(labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(archive) for archive in archives]},
            "history": [{"created": EPOCH, "created_by": "lockstep image build"} for _ in archives],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest(blob), "size": len(blob)} for blob in blobs],
            "annotations": dict(labels),
        }
    )
    return Image(manifest=manifest, blobs={digest(blob): blob for blob in [*blobs, config]}, labels=dict(labels))


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
