"""The layer of an image's packages: what its lock names, installed for the base's Python, the same bytes on every machine.

uv installs wheels alone, by hash, for linux/amd64 with glibc 2.28 or newer; what it writes of the machine or of itself is then taken out.
The layer is kept in the cache of blobs, so that it is made once for a lock.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import uv

from infra.errors import ConfigError
from lockstep.images.archive import File, Written, write_layer
from lockstep.images.blobs import Blobs

PLATFORM = "x86_64-manylinux_2_28"
INSTALL_TIMEOUT = 900.0
_FORM = "1"  # of the layer; another one makes all layers anew
# What installers note about themselves and about where a package came from: nothing that Python or a package needs.
_NOTES = {"RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}
# uv writes the interpreter's path as `#!`, or through /bin/sh where it is too long for that.
_SHEBANG = re.compile(rb"\A#!(?:/bin/sh\n'''exec' [^\n]*\n' '''|[^\n]*python[^\n]*)\n")


def layer(lock: bytes, *, python: str, prefix: str, blobs: Blobs) -> Written | None:
    """The layer, in the cache; None where the lock names no package.

    Args:
        lock: the text of requirements.lock, with hashes.
        python: the version that it is for.
        prefix: the folder in the image.

    Raises:
        ConfigError: a package has no wheel for that Python and platform, or the lock is not whole.
    """
    if not any(line.strip() and not line.lstrip().startswith(b"#") for line in lock.splitlines()):
        return None
    key = hashlib.sha256(json.dumps([_FORM, PLATFORM, python, prefix, lock.decode()]).encode()).hexdigest()
    note = blobs.folder.parent / "packages" / f"{key}.json"
    known = _read(note)
    if known is not None and blobs.find(known.digest):
        return known
    with tempfile.TemporaryDirectory(prefix="lockstep-packages-") as scratch:
        folder = Path(scratch) / "packages"
        _install(lock, python, folder, Path(scratch))
        files = {f"{prefix}/{path}": file for path, file in _tidy(folder)}
        made: list[Written] = []
        blobs.make(partial(_fill, files, made.append))
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(vars(made[0])))
    return made[0]


def _read(note: Path) -> Written | None:
    try:
        return Written(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _fill(files: dict[str, File], told: Callable[[Written], None], path: Path) -> str:
    with path.open("wb") as stream:
        written = write_layer(files, stream)
    told(written)
    return written.digest


def _install(lock: bytes, python: str, folder: Path, scratch: Path) -> None:
    requirements = scratch / "requirements.lock"
    requirements.write_bytes(lock)
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--target", str(folder), "--python", sys.executable,
               "--python-platform", PLATFORM, "--python-version", python, "--only-binary", ":all:", "--require-hashes",
               "--link-mode", "copy", "--no-compile-bytecode", "-r", str(requirements)]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False, cwd=scratch)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"the image's packages are not installed after {INSTALL_TIMEOUT:.0f} s", where="requirements.lock") from error
    if done.returncode:
        raise ConfigError(
            f"its packages can't be installed for Python {python} on {PLATFORM}: {' '.join(done.stderr.split())[-800:]}",
            where="requirements.lock",
            remedy="Lock versions that have wheels for it, or choose a base with another Python.",
        )


def _tidy(folder: Path) -> Iterator[tuple[str, File]]:
    """The files as they go into the layer, by path below `folder`."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    kept = {name: path for name, path in files.items() if not _is_note(name)}
    done = {name: _file(name, path) for name, path in kept.items()}
    yield from done.items()
    for name in files:
        if PurePosixPath(name).match("*.dist-info/RECORD"):
            yield name, File(_record(name, files[name], done))


def _is_note(name: str) -> bool:
    path = PurePosixPath(name)
    return name == ".lock" or path.suffix == ".pyc" or (path.match("*.dist-info/*") and len(path.parts) == 2 and path.name in _NOTES)


def _file(name: str, path: Path) -> File:
    executable = bool(path.stat().st_mode & 0o100)
    if not name.startswith("bin/"):
        return File(path, executable)
    return File(_SHEBANG.sub(b"#!/usr/bin/env python\n", path.read_bytes()), executable)


def _record(name: str, path: Path, files: dict[str, File]) -> bytes:
    """RECORD (PyPA, recording installed projects) of one package, of what is in the layer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    with path.open(newline="", encoding="utf-8") as stream:
        listed = sorted({str(row[0]) for row in csv.reader(stream) if row})
    for each in listed:
        if each in files:
            digest, size = _hash(files[each])
            writer.writerow([each, f"sha256={digest}", size])
    writer.writerow([name, "", ""])
    return text.getvalue().encode()


def _hash(file: File) -> tuple[str, int]:
    content: BinaryIO
    with io.BytesIO(file.content) if isinstance(file.content, bytes) else file.content.open("rb") as content:
        hasher = hashlib.file_digest(content, "sha256")
        size = content.seek(0, io.SEEK_END)
    return base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode(), size
