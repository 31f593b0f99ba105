"""`images.yaml`: what the images of this project stand on. One choice for all environments, as they run the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import ConfigError
from lockstep.images import base
from lockstep.images.base import HOST, Base

FILE = "images.yaml"


class Choice(BaseModel):
    """`base`: `host`, or registry/repository@sha256:...; `python`: the base's version, where the base does not say it itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = HOST
    python: str = ""


class Settings(Choice):
    """The file: a choice for the toolkit and all workloads, and `workloads`, by name, for those that need another."""

    workloads: Mapping[str, Choice] = {}


def load(root: Path) -> Settings:
    """The settings of a checkout; without the file, every image stands on the host. Raises ConfigError."""
    path = root / FILE
    if not path.is_file():
        return Settings()
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(f"it is not as it should be: {error}", where=str(path), remedy=f"{Choice.__doc__}") from error


def base_of(root: Path, workload: str = "") -> Base | None:
    """The base of a workload's image, or, without a name, of the toolkit's; None: the host.

    Raises:
        ConfigError, UsageError, PreflightError, IntegrityError: as `lockstep.images.base.resolve`.
    """
    settings = load(root)
    choice = settings.workloads.get(workload, settings) if workload else settings
    return resolve(choice.base, choice.python)


def resolve(name: str, python: str = "") -> Base | None:
    """The base of that name; None: the host."""
    return None if name == HOST else base.resolve(name, python=python)
