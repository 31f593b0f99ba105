"""What goes into an image: the toolkit's own code, a workload's code, its lock, and the programs that SageMaker starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from infra.errors import ConfigError, UsageError
from lockstep.images import packages
from lockstep.images.archive import File
from lockstep.images.base import HOST, Base
from lockstep.images.blobs import Blobs
from lockstep.images.image import Blob, Image, Layer, build

PROGRAM = "opt/program"
PACKAGES = f"{PROGRAM}/packages"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SKIPPED_FOLDERS = {"__pycache__", "tests"}
# Definitions are what the control plane reads, not what a job runs; and toolkit.json names the digest of the toolkit image.
TOOLKIT_SKIPPED = {"definitions", "requirements.in"}
INFRA_FILES = ("__init__.py", "errors.py", "outputs.py")

TRAIN = """#!/usr/bin/env python
import runpy

runpy.run_module("pipelines.jobs.train", run_name="__main__")
"""
SERVE = """#!/usr/bin/env python
import runpy

runpy.run_module("pipelines.serving.serve", run_name="__main__")
"""


def toolkit_image(root: Path, *, base: Base | None = None) -> Image:
    """The image of promotion code: `pipelines/`, three modules of `infra/`, and its lock. Never a candidate's code."""
    lock = _lock(root / "pipelines" / "requirements.lock")
    return _image(
        [{f"{PROGRAM}/requirements.lock": File(lock)}, _toolkit_files(root)],
        base=base,
        lock=lock,
        environment={},
        command=["python", "-m", "pipelines.jobs.gates"],
        labels={"dev.lockstep.kind": "toolkit"},
    )


def workload_image(root: Path, workload: str, *, base: Base | None = None, overlay: Path | None = None) -> Image:
    """The image of one workload: toolkit code, the workload's code and its lock, `train` and `serve`.

    Args:
        root: of the project.
        workload: folder name under `workloads/`.
        base: what it stands on; None: the machine that runs it, which a rehearsal alone can do.
        overlay: a folder whose files replace or join those of the workload: a data scientist's changed version.

    Raises:
        UsageError: no such workload.
        ConfigError: the lock is missing, or can't be installed for the base's Python.
    """
    source = root / "workloads" / workload
    if not (source / "workload.yaml").is_file():
        known = sorted(path.parent.name for path in (root / "workloads").glob("*/workload.yaml"))
        raise UsageError(f"there is no workload {workload!r}", where=str(source), remedy=f"Known: {', '.join(known) or 'none'}.")
    own = {f"{PROGRAM}/workloads/__init__.py": File((root / "workloads" / "__init__.py").read_bytes())}
    own |= dict(_files(source, f"{PROGRAM}/workloads/{workload}"))
    if overlay is not None:
        if not overlay.is_dir():
            raise UsageError("the overlay is no folder", where=str(overlay))
        own |= dict(_files(overlay, f"{PROGRAM}/workloads/{workload}"))
    given = overlay / "requirements.lock" if overlay is not None else source / "requirements.lock"
    lock = _lock(given if given.is_file() else source / "requirements.lock")
    programs = {f"{PROGRAM}/bin/train": File(TRAIN.encode(), True), f"{PROGRAM}/bin/serve": File(SERVE.encode(), True)}
    return _image(
        [{f"{PROGRAM}/requirements.lock": File(lock)}, _toolkit_files(root) | programs, own],
        base=base,
        lock=lock,
        environment={"LOCKSTEP_WORKLOAD": workload},
        command=["serve"],
        labels={"dev.lockstep.kind": "workload", "dev.lockstep.workload": workload},
    )


def _image(
    layers: list[dict[str, File]],
    *,
    base: Base | None,
    lock: bytes,
    environment: dict[str, str],
    command: list[str],
    labels: dict[str, str],
) -> Image:
    code = [Layer.of(files) for files in layers]
    labels = {**labels, "dev.lockstep.base": base.name if base else HOST, "dev.lockstep.lock-sha256": hashlib.sha256(lock).hexdigest()}
    paths, modules, below = ["/opt/program/bin"], ["/opt/program"], []
    if base:
        installed = packages.layer(lock, python=base.python, prefix=PACKAGES, blobs=base.blobs)
        if installed:
            below = [Layer(Blob(installed.digest, installed.size, partial(_kept, base.blobs, installed.digest)), installed.diff_id)]
            paths.append(f"/{PACKAGES}/bin")
            modules.append(f"/{PACKAGES}")
        modules += filter(None, [base.environment.get("PYTHONPATH")])
    own = {
        "PATH": ":".join([*paths, base.environment.get("PATH", PATH) if base else PATH]),
        "PYTHONPATH": ":".join(modules),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    if base:
        # For who runs the code without the base: how many layers it is, from the top, and which variables are its own.
        labels |= {"dev.lockstep.code-layers": str(len(code)), "dev.lockstep.environment": " ".join(sorted(own))}
    return build([*below, *code], base=base, environment=own, working_folder="/opt/program", command=command, labels=labels)


@contextmanager
def _kept(blobs: Blobs, digest: str) -> Iterator[BinaryIO]:
    with blobs.path(digest).open("rb") as stream:
        yield stream


def _lock(path: Path) -> bytes:
    if not path.is_file():
        raise ConfigError("the lock is missing", where=str(path), remedy="Make it with `uv pip compile --generate-hashes`.")
    return path.read_bytes()


def _toolkit_files(root: Path) -> dict[str, File]:
    files = {f"{PROGRAM}/infra/{name}": File((root / "infra" / name).read_bytes()) for name in INFRA_FILES}
    for path, file in _files(root / "pipelines", f"{PROGRAM}/pipelines"):
        if path.removeprefix(f"{PROGRAM}/pipelines/").split("/")[0] not in TOOLKIT_SKIPPED:
            files[path] = file
    return files


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, File]]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not SKIPPED_FOLDERS.intersection(relative.parts) and not path.name.startswith(".") and path.suffix != ".pyc":
            yield f"{prefix}/{relative.as_posix()}", File(path.read_bytes())
