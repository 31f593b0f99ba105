"""What goes into an image: the toolkit's own code, a workload's code, its lock, and the programs that SageMaker starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from infra.errors import ConfigError, UsageError
from lockstep.images import oci
from lockstep.images.archive import File

PROGRAM = "opt/program"
HOST_BASE = "host"
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


def toolkit_image(root: Path, *, base: str = HOST_BASE) -> oci.Image:
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


def workload_image(root: Path, workload: str, *, base: str = HOST_BASE, overlay: Path | None = None) -> oci.Image:
    """The image of one workload: toolkit code, the workload's code and its lock, `train` and `serve`.

    Args:
        root: of the project.
        workload: folder name under `workloads/`.
        base: `host`, or a reference by digest (not available yet, see below).
        overlay: a folder whose files replace or join those of the workload: a data scientist's changed version.

    Raises:
        UsageError: no such workload.
        ConfigError: the base can't be used, or the lock is missing.
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
    lock_file = own.get(f"{PROGRAM}/workloads/{workload}/requirements.lock")
    lock = lock_file.content if lock_file else _lock(source / "requirements.lock")
    programs = {f"{PROGRAM}/bin/train": File(TRAIN.encode(), True), f"{PROGRAM}/bin/serve": File(SERVE.encode(), True)}
    return _image(
        [{f"{PROGRAM}/requirements.lock": File(lock)}, _toolkit_files(root) | programs, own],
        base=base,
        lock=lock,
        environment={"LOCKSTEP_WORKLOAD": workload},
        command=["serve"],
        labels={"dev.lockstep.kind": "workload", "dev.lockstep.workload": workload},
    )


def code_digest(image: oci.Image) -> str:
    """sha256 (hex) that names the code of an image: that of the image itself, as its layers are the code and its lock."""
    return image.digest.removeprefix("sha256:")


def _image(
    layers: list[dict[str, File]], *, base: str, lock: bytes, environment: dict[str, str], command: list[str], labels: dict[str, str]
) -> oci.Image:
    if base != HOST_BASE:
        raise ConfigError(
            "only the host can be a base so far: building on a full base image needs a container engine, which is not supported yet",
            where=f"--base {base}",
            remedy="Leave --base out. Images on a host base run in the rehearsal; on AWS, promotion's preflight refuses them.",
        )
    return oci.build(
        layers,
        environment={
            "PATH": "/opt/program/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": "/opt/program",
            "PYTHONUNBUFFERED": "1",
            **environment,
        },
        working_folder="/opt/program",
        command=command,
        labels={**labels, "dev.lockstep.base": base, "dev.lockstep.lock-sha256": hashlib.sha256(lock).hexdigest()},
    )


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
