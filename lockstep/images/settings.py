"""`images.yaml`: what the images of this project stand on. One choice for all environments, as they run the same images."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import ConfigError
from lockstep.images import base
from lockstep.images.base import HOST, Base
from pipelines.problems import told

FILE = "images.yaml"


class Choice(BaseModel):
    """`base`: `host`, or registry/repository@sha256:...; `python`: the base's version, where the base does not say it itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = HOST
    python: str = ""


class Settings(Choice):
    """The file: a choice for the toolkit and all workloads, and `workloads`, by name, for those that need another."""

    workloads: Mapping[str, Choice] = {}

    def choice(self, workload: str = "") -> Choice:
        """What a workload's image stands on, or, without a name, the toolkit's. What the workload leaves out is as the file has it for
        all; the version of Python belongs to its base, and so is not taken over for another one."""
        own = self.workloads.get(workload)
        if own is None:
            return self
        given = own.model_dump(exclude_unset=True)
        return Choice(**given) if "base" in given else Choice(**{"base": self.base, "python": self.python, **given})


def load(root: Path) -> Settings:
    """The settings of a checkout; without the file, every image stands on the host. Raises ConfigError."""
    path = root / FILE
    if not path.is_file():
        return Settings()
    try:
        found = Settings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        raise ConfigError(_problems(error), where=FILE, remedy="Correct the file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"it can't be read: {told(error)}", where=FILE, remedy="Correct the file.") from error
    known = sorted(folder.parent.name for folder in (root / "workloads").glob("*/workload.yaml"))
    for name in found.workloads:
        if name not in known:
            raise ConfigError(f"there is no workload {name!r}{_meant(name, known)}", where=f"{FILE}, workloads", remedy="Correct the file.")
    return found


def _problems(error: ValidationError) -> str:
    unknown = [each for each in error.errors(include_url=False) if each["type"] == "extra_forbidden"]
    if not unknown:
        return told(error)
    found = []
    for each in unknown:
        path = [str(part) for part in each["loc"]]
        known = list((Settings if len(path) == 1 else Choice).model_fields)
        found.append(f"unknown key {'.'.join(path)!r}{_meant(path[-1], known)}")
    return "; ".join(found)


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known) or 'none'}"


def base_of(root: Path, workload: str = "") -> Base | None:
    """The base of a workload's image, or, without a name, of the toolkit's; None: the host.

    Raises:
        ConfigError, UsageError, PreflightError, IntegrityError: as `lockstep.images.base.resolve`.
    """
    choice = load(root).choice(workload)
    return resolve(choice.base, choice.python)


def resolve(name: str, python: str = "") -> Base | None:
    """The base of that name; None: the host."""
    return None if name == HOST else base.resolve(name, python=python)
