"""Manifests, indexes and configs as registries give them: the parts that are read here, checked for their shape.

OCI image specification 1.1 and, the same but for the media types, Docker's image manifest version 2, schema 2. What a registry sends is
somebody else's word: a digest that is none never becomes the name of a file.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import ConfigError

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


Part = TypeVar("Part", bound=_Part)


class Platform(_Part):
    os: str = ""
    architecture: str = ""
    variant: str = ""


class Descriptor(_Part):
    """A blob or a manifest that another document names. `size` in bytes."""

    digest: Digest
    size: Annotated[int, Field(ge=0)]
    media_type: Annotated[str, Field(alias="mediaType")] = ""
    platform: Platform = Platform()


class Manifest(_Part):
    """One image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(_Part):
    """The images of several platforms."""

    manifests: tuple[Descriptor, ...]


class Started(_Part):
    """How containers are started: of the config, what is read here."""

    env: Annotated[tuple[str, ...] | None, Field(alias="Env")] = None
    labels: Annotated[dict[str, str] | None, Field(alias="Labels")] = None


class RootFs(_Part):
    diff_ids: tuple[Digest, ...] = ()


class Config(_Part):
    """An image's config. `document` is the whole, for what goes on unread."""

    os: str = ""
    architecture: str = ""
    config: Started | None = None
    rootfs: RootFs = RootFs()
    history: tuple[dict[str, Any], ...] | None = None
    document: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        pairs = (entry.partition("=") for entry in (self.config.env if self.config else None) or ())
        return {name: value for name, _, value in pairs}


def parse_manifest(data: bytes, where: str) -> Manifest | Index:
    """A manifest or an index. Raises ConfigError if it is neither."""
    document = _object(data, where)
    return _parse(Index, document, where) if "manifests" in document else _parse(Manifest, document, where)


def parse_config(data: bytes, where: str) -> Config:
    """An image's config. Raises ConfigError if it is none."""
    document = _object(data, where)
    return _parse(Config, {**document, "document": document}, where)


def _object(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ConfigError("it is no JSON document", where=where) from error
    if not isinstance(document, dict):
        raise ConfigError("it is no JSON object", where=where)
    return document


def _parse(model: type[Part], document: dict[str, Any], where: str) -> Part:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"it is not an image's {model.__name__.lower()}: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=where,
            remedy="Choose another base. Images of Docker's old schema 1 have to be pushed anew.",
        ) from error
