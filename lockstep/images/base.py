"""What an image stands on: the machine that runs it, or a full base image by digest.

Of a full base a build needs the manifest and the config alone; its layers are read when they are pushed, and go on as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from infra.errors import ConfigError, LockstepError, UsageError
from lockstep.images.blobs import Blobs, digest_of
from lockstep.images.reference import Reference
from lockstep.images.registry import Repository

HOST = "host"
PLATFORM = ("linux", "amd64")
OLDEST_PYTHON = (3, 11)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
# Layers whose bytes a Docker manifest can name as they are. The OCI types differ in nothing but the name.
GZIP_LAYERS = ("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip")


@dataclass(frozen=True, kw_only=True)
class BaseLayer:
    """A layer of a base: its bytes stay in the registry until they are asked for."""

    digest: str
    size: int
    diff_id: str


@dataclass(frozen=True, kw_only=True)
class Base:
    """A full base image for linux/amd64.

    `name`: registry/repository@digest of the manifest of this platform. `python`: the version of its `python`, as 3.12 or 3.12.7.
    `document`: the whole image config.
    """

    name: str
    python: str
    document: Mapping[str, Any]
    layers: tuple[BaseLayer, ...]
    repository: Repository = field(compare=False, repr=False)
    blobs: Blobs = field(compare=False, repr=False)

    @property
    def config(self) -> Mapping[str, Any]:
        """What containers of it are started with: Env, User and so on."""
        return self.document.get("config") or {}

    @property
    def environment(self) -> dict[str, str]:
        pairs = (entry.partition("=") for entry in self.config.get("Env") or [])
        return {name: value for name, _, value in pairs}

    @contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO]:
        """A layer's bytes, from this machine's cache or else from the registry."""
        path = self.blobs.find(digest) or self.blobs.keep(digest, self.repository.blob(digest), where=self.name)
        with path.open("rb") as stream:
            yield stream


def resolve(text: str, *, python: str = "", blobs: Blobs | None = None, repository: Callable[[Reference], Repository] = Repository) -> Base:
    """Read what is to be known of the base that `text` names by digest.

    Args:
        text: registry/repository@sha256:..., of an image or of an index that has one for linux/amd64.
        python: the version of its Python, where the base does not say it in PYTHON_VERSION as the official Python images do.

    Raises:
        UsageError: not a name, or a tag alone; the message says the digest that the tag names now.
        ConfigError: there is no such image, it is for another platform, or nothing can be built on it.
        PreflightError, IntegrityError: the registry can't be asked, or answers with other bytes.
    """
    reference = Reference.parse(text)
    reader, cache = repository(reference), blobs or Blobs.of_this_machine()
    if not reference.digest:
        raise UsageError("a base is named by digest: a tag can be moved", where=f"base {text}", remedy=_pin(reference, reader))
    digest, manifest = _platform_manifest(reference, reader, cache)
    name = str(reference.at(digest))
    document = json.loads(_blob(manifest["config"]["digest"], reader, cache, name))
    platform = (document.get("os"), document.get("architecture"))
    if platform != PLATFORM:
        raise ConfigError(f"the base is for {'/'.join(map(str, platform))}", where=name, remedy="SageMaker's instances are linux/amd64.")
    return Base(
        name=name,
        python=_python(document, python, name),
        document=document,
        layers=tuple(_layers(manifest, document, name)),
        repository=reader,
        blobs=cache,
    )


def _pin(reference: Reference, reader: Repository) -> str:
    """What to write instead of a tag."""
    try:
        return f"It names {reference.at(digest_of(reader.manifest(reference.selector)))} at present: write that."
    except LockstepError as error:
        return f"Write {reference.place}@sha256:... (its digest can't be told from here: {error.message})."


def _platform_manifest(reference: Reference, reader: Repository, cache: Blobs) -> tuple[str, dict[str, Any]]:
    """Digest and content of the manifest for this project's platform."""
    digest = reference.digest
    manifest = _manifest(digest, reader, cache, reference)
    if "manifests" in manifest:
        found = [entry for entry in manifest["manifests"] if _fits(entry.get("platform") or {})]
        if not found:
            raise ConfigError("the index has no image for linux/amd64", where=str(reference))
        digest = found[0]["digest"]
        manifest = _manifest(digest, reader, cache, reference)
    if "config" not in manifest or "layers" not in manifest:
        raise ConfigError(
            "it is no image's manifest", where=str(reference.at(digest)), remedy="Images of Docker's old schema 1 have to be pushed anew."
        )
    return digest, manifest


def _fits(platform: Mapping[str, Any]) -> bool:
    # A variant (amd64/v3) names instructions that not every instance has.
    return (platform.get("os"), platform.get("architecture")) == PLATFORM and not platform.get("variant")


def _manifest(digest: str, reader: Repository, cache: Blobs, reference: Reference) -> dict[str, Any]:
    held = cache.find(digest)
    data = held.read_bytes() if held else reader.manifest(digest)
    if held is None:
        cache.keep(digest, [data], where=reference.place)
    try:
        manifest: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise ConfigError("its manifest is no JSON", where=str(reference.at(digest))) from error
    return manifest


def _blob(digest: str, reader: Repository, cache: Blobs, name: str) -> bytes:
    return (cache.find(digest) or cache.keep(digest, reader.blob(digest), where=name)).read_bytes()


def _python(document: Mapping[str, Any], given: str, name: str) -> str:
    pairs = (entry.partition("=") for entry in (document.get("config") or {}).get("Env") or [])
    said = {key: value for key, _, value in pairs}.get("PYTHON_VERSION", "")
    if given and said and not f"{said}.".startswith(f"{given}."):
        raise ConfigError(f"the base has Python {said}, not {given}", where=name, remedy="Leave the version of Python out.")
    version = said or given
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ConfigError(
            f"the version of its Python is {version!r}" if version else "the base does not say which Python it has",
            where=name,
            remedy="Say it: --base-python 3.12, or `python:` beside `base:` in images.yaml.",
        )
    if (int(match[1]), int(match[2])) < OLDEST_PYTHON:
        raise ConfigError(f"the base has Python {version}", where=name, remedy="Python 3.11 or newer is needed.")
    return version


def _layers(manifest: Mapping[str, Any], document: Mapping[str, Any], name: str) -> Iterator[BaseLayer]:
    diff_ids = (document.get("rootfs") or {}).get("diff_ids") or []
    if len(diff_ids) != len(manifest["layers"]):
        raise ConfigError("its config and its manifest count its layers differently", where=name)
    for layer, diff_id in zip(manifest["layers"], diff_ids, strict=True):
        if layer.get("mediaType") not in GZIP_LAYERS:
            raise ConfigError(
                f"a layer of the base is of type {layer.get('mediaType')}",
                where=f"{name} {layer['digest']}",
                remedy="SageMaker takes Docker manifests, whose layers are gzip. Choose a base that has such layers.",
            )
        yield BaseLayer(digest=layer["digest"], size=int(layer["size"]), diff_id=diff_id)
