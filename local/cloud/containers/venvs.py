"""Virtual environments for images whose base is the host: one per lock, made once, shared by every cloud of this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uv

from local.cloud.containers.images import ImageError

INSTALL_TIMEOUT = 900.0


def cache_folder() -> Path:
    """Where environments are kept: outside any checkout, so that a fresh clone finds them."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lockstep" / "venvs"


def ensure(lock: str, cache: Path | None = None) -> Path:
    """The folder of the environment that holds what `lock` (hash-locked requirements) names and nothing else.

    An environment that is there already is used without touching the network. The version of Python is part of its name:
    wheels of one do not work in another.
    """
    folder = cache or cache_folder()
    name = f"{hashlib.sha256(lock.encode()).hexdigest()}-cp{sys.version_info.major}{sys.version_info.minor}"
    home = folder / name
    if _is_ready(home):
        return home
    folder.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder / f"{name}.lock"):
        if not _is_ready(home):
            _make(home, lock)
    return home


def _is_ready(home: Path) -> bool:
    return (home / ".ready").exists() and (home / "bin" / "python").exists()


def _make(home: Path, lock: str) -> None:
    shutil.rmtree(home, ignore_errors=True)
    # The interpreter below the cloud's own environment, so that none of the cloud's packages can be seen.
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    _uv(["venv", "--quiet", "--no-project", "--python", str(base), str(home)], home.parent, "An environment can't be made")
    if any(line.strip() and not line.lstrip().startswith("#") for line in lock.splitlines()):
        requirements = home / "requirements.lock"
        requirements.write_text(lock)
        command = ["pip", "install", "--quiet", "--python", str(home / "bin" / "python"), "--require-hashes", "-r", str(requirements)]
        _uv(command, home, "The image's requirements.lock can't be installed")
    (home / ".ready").touch()


def _uv(arguments: list[str], folder: Path, problem: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}}
    try:
        done = subprocess.run(
            [uv.find_uv_bin(), *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{problem}: not done after {INSTALL_TIMEOUT:.0f} s.") from error
    if done.returncode:
        raise ImageError(f"{problem}: {' '.join(done.stderr.split())[-600:]}")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock between processes, so that two clouds do not build the same environment at once."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
