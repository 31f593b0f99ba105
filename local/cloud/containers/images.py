"""Container images: references, and pulling one through the ECR API by digest into a folder that is unpacked once.

A pull is made with the credentials of the role that the job or endpoint runs as, every time, so the repository's policy is asked even
where the image lies unpacked already; what is downloaded is held against its digest, layer by layer.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
BASE_LABEL = "dev.lockstep.base"


class ImageError(Exception):
    """An image that can't be pulled or run, worded for the failure reason of the job or endpoint that wanted it."""


@dataclass(frozen=True)
class ImageReference:
    """An ECR image name, taken apart. `digest` wins over `tag`, as in Docker."""

    uri: str
    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> ImageReference:
        match = REFERENCE.fullmatch(uri)
        if match is None:
            raise ImageError(f"{uri} is not the name of an image in Amazon ECR.")
        parts = match.groupdict()
        return cls(uri, parts["account"], parts["region"], parts["repository"], parts["tag"], parts["digest"])

    @property
    def image_id(self) -> dict[str, str]:
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}


@dataclass(frozen=True)
class Image:
    """An image unpacked on this machine: its digest, the folder of its files and the `config` object of the OCI image."""

    digest: str
    rootfs: Path
    config: dict[str, Any]
    base: str

    @property
    def environment(self) -> dict[str, str]:
        pairs = (entry.partition("=") for entry in self.config.get("Env") or [])
        return {name: value for name, _, value in pairs}


class ImageStore:
    """Images under one folder, each unpacked once and by digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def pull(self, reference: ImageReference, ecr: Any) -> Image:
        """The image that `reference` names, as the holder of the ECR client's credentials may see it."""
        digest, manifest = _manifest(reference, ecr, reference.image_id)
        with self._guard:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:
            home = self.folder / digest.replace(":", "-")
            if not home.exists():
                self._unpack(reference, ecr, manifest, home)
        details = json.loads((home / "config.json").read_text())
        config = details.get("config") or {}
        base = manifest.get("annotations", {}).get(BASE_LABEL) or (config.get("Labels") or {}).get(BASE_LABEL) or ""
        return Image(digest, home / "rootfs", config, base)

    def _unpack(self, reference: ImageReference, ecr: Any, manifest: dict[str, Any], home: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self.folder))
        try:
            (work / "config.json").write_bytes(_blob(reference, ecr, manifest["config"]["digest"]))
            rootfs = work / "rootfs"
            rootfs.mkdir()
            for layer in manifest["layers"]:
                _apply_layer(_blob(reference, ecr, layer["digest"]), layer.get("mediaType", ""), rootfs)
            work.chmod(0o755)
            os.rename(work, home)
        except tarfile.TarError as error:
            raise ImageError(f"{reference.uri}: its layers can't be unpacked: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _manifest(reference: ImageReference, ecr: Any, image_id: dict[str, str]) -> tuple[str, dict[str, Any]]:
    try:
        answer = ecr.batch_get_image(
            registryId=reference.account,
            repositoryName=reference.repository,
            imageIds=[image_id],
            acceptedMediaTypes=list(MANIFEST_TYPES),
        )
    except ClientError as error:
        raise ImageError(f"{reference.uri} can't be pulled: {error.response['Error'].get('Message', error)}") from error
    if not answer.get("images"):
        reason = (answer.get("failures") or [{}])[0].get("failureReason", "Requested image not found")
        raise ImageError(f"{reference.uri} can't be pulled: {reason}.")
    text = answer["images"][0]["imageManifest"]
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    if "imageDigest" in image_id and digest != image_id["imageDigest"]:
        raise ImageError(f"{reference.uri}: the manifest that the repository holds has the digest {digest}.")
    manifest: dict[str, Any] = json.loads(text)
    if "manifests" in manifest:
        for entry in manifest["manifests"]:
            if entry.get("platform", {}).get("os") == "linux" and entry.get("platform", {}).get("architecture") == "amd64":
                return _manifest(reference, ecr, {"imageDigest": entry["digest"]})
        raise ImageError(f"{reference.uri} has no image for linux/amd64.")
    return digest, manifest


def _blob(reference: ImageReference, ecr: Any, digest: str) -> bytes:
    try:
        place = {"registryId": reference.account, "repositoryName": reference.repository, "layerDigest": digest}
        url = ecr.get_download_url_for_layer(**place)["downloadUrl"]
    except ClientError as error:
        raise ImageError(f"{reference.uri} can't be pulled: {error.response['Error'].get('Message', error)}") from error
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data: bytes = answer.read()
    except OSError as error:
        raise ImageError(f"{reference.uri}: its layer {digest} can't be downloaded: {error}") from error
    if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
        raise ImageError(f"{reference.uri}: the bytes of its layer {digest} do not match their digest.")
    return data


def _apply_layer(data: bytes, media_type: str, rootfs: Path) -> None:
    if media_type.endswith("zstd"):
        raise ImageError(f"layers of type {media_type} are not part of the embedded cloud.")
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            folder, name = os.path.split(entry.name)
            if name == ".wh..wh..opq":
                _remove(rootfs, folder, keep=True)
            elif name.startswith(".wh."):
                _remove(rootfs, os.path.join(folder, name.removeprefix(".wh.")))
            else:
                archive.extract(entry, rootfs, filter="data")


def _remove(rootfs: Path, relative: str, keep: bool = False) -> None:
    """Take away what a layer hides (a whiteout of the OCI image specification); with `keep`, only a folder's contents."""
    target = rootfs / os.path.normpath("/" + relative).lstrip("/")
    if target.is_dir() and not target.is_symlink():
        for child in target.iterdir() if keep else (target,):
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    elif target.exists() or target.is_symlink():
        target.unlink()
