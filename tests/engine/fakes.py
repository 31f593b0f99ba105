"""Executables that stand for `pulumi` and `go`: shell scripts that answer as the real ones do."""

from __future__ import annotations

from pathlib import Path


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fake_pulumi(folder: Path, version: str) -> Path:
    return script(folder / "pulumi", f'[ "$1" = version ] && echo "{version}"')


def fake_go(folder: Path, *, build: str, env: str = "echo go1.25.11") -> Path:
    """`build` runs for `go build`, with the path of -o in $out; `env` for `go env GOVERSION`."""
    body = f"""
if [ "$1" = env ]; then {env}; exit $?; fi
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
{build}
"""
    return script(folder / "go", body)
