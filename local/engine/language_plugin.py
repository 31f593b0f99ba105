"""Puts our language host where the engine finds it: into the plugin cache of a PULUMI_HOME.

A host on PATH works too, and the engine warns about it in each command; `pulumi plugin install` refuses language plugins.
So the folder is made here, as the engine lays it out: `plugins/language-python-v<version>/pulumi-language-python`.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from local.engine.build import engine_version
from local.engine.locate import LANGUAGE_HOST

HOST = Path(__file__).with_name("language_host.py")


def install(pulumi_home: Path, python: Path | None = None) -> Path:
    """Installs the host for an interpreter (default: this one). The executable; nothing is written where it is there already."""
    folder = pulumi_home / "plugins" / f"language-python-v{engine_version()}"
    executable = folder / LANGUAGE_HOST
    script = f'#!/bin/sh\nexec {shlex.quote(str(python or sys.executable))} {shlex.quote(str(HOST))} "$@"\n'
    if executable.is_file() and executable.read_text() == script:
        return executable
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{LANGUAGE_HOST}.{os.getpid()}"
    fresh.write_text(script)
    fresh.chmod(0o755)
    os.replace(fresh, executable)
    return executable
