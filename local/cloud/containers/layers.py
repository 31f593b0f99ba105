"""Layers of images, laid over one another in a folder as the OCI image specification has it."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import zstandard

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
DAMAGED = (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, zstandard.ZstdError)


def apply(blob: Path, rootfs: Path) -> None:
    """Lay a layer over what is in `rootfs`. Raises one of DAMAGED.

    Whiteouts hide what lower layers brought, never what their own did, and may stand anywhere in the archive: so they go first.
    """
    for entry, _ in _entries(blob):
        folder, name = os.path.split(entry.name)
        if name == OPAQUE:
            _remove(rootfs, folder, keep=True)
        elif name.startswith(WHITEOUT):
            _remove(rootfs, os.path.join(folder, name.removeprefix(WHITEOUT)))
    for entry, archive in _entries(blob):
        if not os.path.basename(entry.name).startswith(WHITEOUT):
            archive.extract(entry, rootfs, filter="data")


def _entries(blob: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    with _uncompressed(blob) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            yield entry, archive


@contextmanager
def _uncompressed(blob: Path) -> Iterator[IO[bytes]]:
    """A layer's archive, whatever it is compressed with: the bytes say so, Docker's and OCI's names for it differ."""
    with blob.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(raw) as stream:
                yield stream  # type: ignore[misc]  # a GzipFile reads bytes
        elif magic == b"\x28\xb5\x2f\xfd":
            with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
                yield stream
        else:
            yield raw


def _remove(rootfs: Path, relative: str, keep: bool = False) -> None:
    """Take away what a layer hides (a whiteout of the OCI image specification); with `keep`, only a folder's contents."""
    target = rootfs / os.path.normpath("/" + relative).lstrip("/")
    if target.is_dir() and not target.is_symlink():
        for child in target.iterdir() if keep else (target,):
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    elif target.exists() or target.is_symlink():
        target.unlink()
