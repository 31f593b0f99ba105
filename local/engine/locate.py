"""Which engine to use: the one on PATH if it is new enough, else the one that is built here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from local.engine import build

# The oldest engine that speaks to the SDK we pin and knows PULUMI_OPTION_* variables.
MINIMUM = (3, 220, 0)

LANGUAGE_HOST = "pulumi-language-python"


@dataclass(frozen=True)
class Engine:
    """A `pulumi` that can be run.

    Attributes:
        pulumi: the executable.
        version: of the engine, as numbers.
        has_language_host: whether the official Python language host comes with it; if not, ours is needed (`language_plugin`).
    """

    pulumi: Path
    version: tuple[int, int, int]
    has_language_host: bool


def ours(folder: str) -> bool:
    """Whether a folder of PATH is one of our cache: an earlier `cloud env` put it there."""
    return Path(folder).is_relative_to(build.cache_root())


def foreign_path() -> str:
    """PATH without the folders that we put there: what the machine itself has."""
    return os.pathsep.join(folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder and not ours(folder))


def find() -> Engine | None:
    """An engine that is there now: on PATH, or built before. Builds nothing."""
    path = foreign_path()
    on_path = shutil.which("pulumi", path=path)
    if on_path is not None:
        version = version_of(Path(on_path))
        if version is not None and version >= MINIMUM:
            return Engine(Path(on_path), version, _has_host(Path(on_path), path))
    cached = build.cached_engine()
    if cached.is_file():
        return Engine(cached, _numbers(build.engine_version()), _has_host(cached, path))
    return None


def ensure(progress: TextIO = sys.stderr) -> Engine:
    """An engine, built now if there is none. Raises what `build.build` raises."""
    found = find()
    if found is not None:
        return found
    passed_over = shutil.which("pulumi", path=foreign_path())
    if passed_over is not None:
        version = version_of(Path(passed_over))
        said = f"is {'.'.join(map(str, version))}" if version else "does not say its version"
        print(f"Not used: {passed_over} {said}; needed is {'.'.join(map(str, MINIMUM))} or newer.", file=progress, flush=True)
    build.build(progress)
    built = find()
    assert built is not None, "a build that returns has put an engine into the cache"
    return built


def version_of(pulumi: Path) -> tuple[int, int, int] | None:
    """The version that an executable reports; None if it reports none."""
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run([str(pulumi), "version"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _numbers(answer.stdout) if answer.returncode == 0 and re.match(r"v?\d+\.\d+\.\d+", answer.stdout.strip()) else None


def _numbers(text: str) -> tuple[int, int, int]:
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    assert found is not None, f"{text!r} is not a version"
    return int(found[1]), int(found[2]), int(found[3])


def _has_host(pulumi: Path, path: str) -> bool:
    """Whether the official language host is where the engine looks for it: on PATH, or beside the engine."""
    return shutil.which(LANGUAGE_HOST, path=path) is not None or (pulumi.resolve().parent / LANGUAGE_HOST).is_file()
