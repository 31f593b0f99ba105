"""What an image stands on: the machine that runs it, or a full base image by digest.

Of a full base a build needs the manifest and the config alone; its layers are read when they are pushed, and go on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from infra.errors import ConfigError, LockstepError, UsageError
from lockstep.images.blobs import Blobs, digest_of
from lockstep.images.documents import Config, Index, Manifest, Platform, parse_config, parse_manifest
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
    """

    name: str
    python: str
    described: Config
    layers: tuple[BaseLayer, ...]
    repository: Repository = field(compare=False, repr=False)
    blobs: Blobs = field(compare=False, repr=False)

    @property
    def document(self) -> Mapping[str, Any]:
        """The whole image config."""
        return self.described.document

    @property
    def config(self) -> Mapping[str, Any]:
        """What containers of it are started with: Env, User and so on."""
        return self.document.get("config") or {}

    @property
    def environment(self) -> dict[str, str]:
        return self.described.environment

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
    wanted = manifest.config.digest
    path = cache.find(wanted) or cache.keep(wanted, reader.blob(wanted), where=name)
    described = parse_config(path.read_bytes(), f"{name} config")
    if (described.os, described.architecture) != PLATFORM:
        platform = f"{described.os}/{described.architecture}"
        raise ConfigError(f"the base is for {platform}", where=name, remedy="SageMaker's instances are linux/amd64.")
    return Base(
        name=name,
        python=_python(described.environment.get("PYTHON_VERSION", ""), python, name),
        described=described,
        layers=tuple(_layers(manifest, described, name)),
        repository=reader,
        blobs=cache,
    )


def _pin(reference: Reference, reader: Repository) -> str:
    """What to write instead of a tag."""
    try:
        return f"It names {reference.at(digest_of(reader.manifest(reference.selector)))} at present: write that."
    except LockstepError as error:
        return f"Write {reference.place}@sha256:... (its digest can't be told from here: {error.message})."


def _platform_manifest(reference: Reference, reader: Repository, cache: Blobs) -> tuple[str, Manifest]:
    """Digest and content of the manifest for this project's platform."""
    digest = reference.digest
    found = _manifest(reference, reader, cache)
    if isinstance(found, Index):
        fitting = [entry.digest for entry in found.manifests if _fits(entry.platform)]
        if not fitting:
            raise ConfigError("the index has no image for linux/amd64", where=str(reference))
        digest = fitting[0]
        found = _manifest(reference.at(digest), reader, cache)
        if isinstance(found, Index):
            raise ConfigError("what it has for linux/amd64 is an index again", where=str(reference))
    return digest, found


def _fits(platform: Platform) -> bool:
    # A variant (amd64/v3) names instructions that not every instance has.
    return (platform.os, platform.architecture) == PLATFORM and not platform.variant


def _manifest(reference: Reference, reader: Repository, cache: Blobs) -> Manifest | Index:
    held = cache.find(reference.digest)
    data = held.read_bytes() if held else reader.manifest(reference.digest)
    if held is None:
        cache.keep(reference.digest, [data], where=reference.place)
    return parse_manifest(data, str(reference))


def _python(said: str, given: str, name: str) -> str:
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


def _layers(manifest: Manifest, described: Config, name: str) -> Iterator[BaseLayer]:
    if len(described.rootfs.diff_ids) != len(manifest.layers):
        raise ConfigError("its config and its manifest count its layers differently", where=name)
    for layer, diff_id in zip(manifest.layers, described.rootfs.diff_ids, strict=True):
        if layer.media_type not in GZIP_LAYERS:
            raise ConfigError(
                f"a layer of the base is of type {layer.media_type}",
                where=f"{name} {layer.digest}",
                remedy="SageMaker takes Docker manifests, whose layers are gzip. Choose a base that has such layers.",
            )
        yield BaseLayer(digest=layer.digest, size=layer.size, diff_id=diff_id)
