"""Makes the plugin's archive and puts it into an engine's plugin cache."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from local.provider import VERSION
from local.provider.errors import ProviderError

_NAME = "pulumi-resource-aws"
# Shell and Python at once: a `#!` line takes no interpreter whose path holds a space, or is long.
_LAUNCH = """#!/bin/sh
'''exec' {python} -SE "$0" "$@"
' '''
"""


def _executable(python: Path, state: Path) -> bytes:
    """The executable's text, for this interpreter, this checkout and the embedded cloud whose state file is `state`."""
    text = Path(__file__).with_name("executable.py").read_text()
    root = Path(__file__).resolve().parents[3]
    for name, value in (("PYTHON", python), ("ROOT", root), ("STATE", state)):
        text = text.replace(f'"@{name}@"', repr(str(value)))
    return (_LAUNCH.format(python=shlex.quote(str(python))) + text).encode()


def build_plugin_archive(path: Path, *, state: Path, python: Path | None = None) -> Path:
    """Writes the archive that `pulumi plugin install resource aws VERSION --file` takes; the same inputs give the same bytes."""
    content = _executable(python or Path(sys.executable), state.resolve())
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(_NAME)
        entry.mode, entry.size = 0o755, len(content)
        archive.addfile(entry, io.BytesIO(content))
    return path


def install(pulumi_home: Path, engine: Path, *, state: Path | None = None, python: Path | None = None) -> Path:
    """Installs the plugin into the cache under `pulumi_home` and returns its folder.

    `state` is the state file of the embedded cloud; by default the one beside `pulumi_home`. Nothing is done where the same
    plugin is installed already. Raises ProviderError if the engine refuses the archive.
    """
    pulumi_home = pulumi_home.resolve()
    state = (state or pulumi_home.parent / "cloud" / "state.json").resolve()
    folder = pulumi_home / "plugins" / f"resource-aws-v{VERSION}"
    installed = folder / _NAME
    if installed.exists() and installed.read_bytes() == _executable(python or Path(sys.executable), state):
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        archive = build_plugin_archive(Path(scratch) / "plugin.tar.gz", state=state, python=python)
        done = subprocess.run(
            [str(engine), "plugin", "install", "resource", "aws", VERSION, "--file", str(archive), "--reinstall"],
            env={**os.environ, "PULUMI_HOME": str(pulumi_home), "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
        )
    if done.returncode or not installed.exists():
        raise ProviderError(f"the engine did not install the local aws plugin: {done.stderr.strip() or done.stdout.strip()}")
    return folder
