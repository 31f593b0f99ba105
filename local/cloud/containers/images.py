"""Container images: references, and pulling one through the ECR API by digest into a folder that is unpacked once.

A pull is made with the credentials of the role that the job or endpoint runs as, every time, so the repository's policy is asked even
where the image lies unpacked already; what is downloaded is held against its digest, layer by layer. Layers that stand below an image's
code, gigabytes of somebody's operating system, are not downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.cloud.containers import layers

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
CODE_LABEL = "dev.lockstep.code-layers"  # how many layers, from the top, are code; the others belong to a base that can't run here
OWN_LABEL = "dev.lockstep.environment"  # the names of the variables that are not the base's
HOST = "host"
CHUNK = 1 << 20


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
    def can_run_here(self) -> bool:
        """Whether its code stands apart from an operating system that only a container engine can start."""
        return self.base == HOST or _code_layers(self.config) > 0

    @property
    def environment(self) -> dict[str, str]:
        """Its variables; without those of a base that is not there (LD_LIBRARY_PATH, say, would harm programs of this machine)."""
        pairs = (entry.partition("=") for entry in self.config.get("Env") or [])
        own = _labels(self.config).get(OWN_LABEL)
        names = None if self.base == HOST or own is None else set(own.split())
        return {name: value for name, _, value in pairs if names is None or name in names}


def _labels(config: dict[str, Any]) -> dict[str, str]:
    return config.get("Labels") or {}


def _code_layers(config: dict[str, Any]) -> int:
    said = _labels(config).get(CODE_LABEL, "")
    return int(said) if said.isdecimal() else 0


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
        base = manifest.get("annotations", {}).get(BASE_LABEL) or _labels(config).get(BASE_LABEL) or ""
        return Image(digest, home / "rootfs", config, base)

    def _unpack(self, reference: ImageReference, ecr: Any, manifest: dict[str, Any], home: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self.folder))
        try:
            details = work / "config.json"
            _download(reference, ecr, manifest["config"]["digest"], details)
            rootfs = work / "rootfs"
            rootfs.mkdir()
            for layer in _wanted(manifest, json.loads(details.read_text()).get("config") or {}):
                blob = work / "layer"
                _download(reference, ecr, layer["digest"], blob)
                layers.apply(blob, rootfs)
                blob.unlink()
            work.chmod(0o755)
            os.rename(work, home)
        except layers.DAMAGED as error:
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


def _wanted(manifest: dict[str, Any], config: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers to unpack: of an image on a full base, the code; of one on the host, all; of one that can't run here, none."""
    base = manifest.get("annotations", {}).get(BASE_LABEL) or _labels(config).get(BASE_LABEL)
    listed: list[dict[str, Any]] = manifest["layers"]
    if base == HOST:
        return listed
    count = _code_layers(config)
    return listed[-count:] if count else []


def _download(reference: ImageReference, ecr: Any, digest: str, target: Path) -> None:
    """Fetch a blob into a file, checked."""
    try:
        place = {"registryId": reference.account, "repositoryName": reference.repository, "layerDigest": digest}
        url = ecr.get_download_url_for_layer(**place)["downloadUrl"]
    except ClientError as error:
        raise ImageError(f"{reference.uri} can't be pulled: {error.response['Error'].get('Message', error)}") from error
    hasher = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as stream:
            while chunk := answer.read(CHUNK):
                hasher.update(chunk)
                stream.write(chunk)
    except OSError as error:
        raise ImageError(f"{reference.uri}: its layer {digest} can't be downloaded: {error}") from error
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise ImageError(f"{reference.uri}: the bytes of its layer {digest} do not match their digest.")
