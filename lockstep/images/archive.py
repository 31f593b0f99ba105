"""Byte-for-byte reproducible tar and gzip: the same files give the same digest, on every machine.

Names are sorted, times and owners are zero, modes are 0644 or 0755. The gzip stream holds stored blocks, because what a
compressor makes of the same bytes differs between versions of zlib.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK = 65535  # RFC 1951, 3.2.4: LEN of a stored block has 16 bits
GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])  # RFC 1952: no name, no time, unknown system


@dataclass(frozen=True)
class File:
    """A file in an image: its bytes, or where they lie on this machine, and whether it may be executed."""

    content: bytes | Path
    executable: bool = False


@dataclass(frozen=True)
class Written:
    """What a layer was written as: `digest` of the compressed bytes, `diff_id` of the uncompressed ones, `size` compressed."""

    digest: str
    diff_id: str
    size: int


class _Gzip(io.RawIOBase):
    """A gzip stream of stored blocks (RFC 1951, 3.2.4; RFC 1952), written piece by piece."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._pending = bytearray()
        self._crc = 0
        self._length = 0
        self._compressed, self._uncompressed = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        self._put(GZIP_HEADER)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._uncompressed.update(data)
        self._pending += data
        whole = (len(self._pending) - 1) // BLOCK * BLOCK  # the last block is kept back: it has to say so
        if whole > 0:
            for start in range(0, whole, BLOCK):
                self._block(self._pending[start : start + BLOCK], final=False)
            del self._pending[:whole]
        return len(data)

    def end(self) -> Written:
        self._block(self._pending, final=True)
        self._put(struct.pack("<II", self._crc, self._length & 0xFFFFFFFF))
        return Written(f"sha256:{self._compressed.hexdigest()}", f"sha256:{self._uncompressed.hexdigest()}", self.size)

    def _block(self, block: bytes | bytearray, *, final: bool) -> None:
        self._put(struct.pack("<BHH", final, len(block), len(block) ^ 0xFFFF) + block)

    def _put(self, data: bytes) -> None:
        self._compressed.update(data)
        self._stream.write(data)
        self.size += len(data)


def write_layer(files: Mapping[str, File], stream: BinaryIO) -> Written:
    """Write a gzipped tar archive of `files` (path without leading slash -> file) and of the folders above them."""
    folders = {"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)}
    zipped = _Gzip(stream)
    with tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folders | set(files)):
            entry = tarfile.TarInfo(path)
            entry.mtime = 0
            if path in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                _add(archive, entry, files[path])
    return zipped.end()


def _add(archive: tarfile.TarFile, entry: tarfile.TarInfo, file: File) -> None:
    entry.mode = 0o755 if file.executable else 0o644
    if isinstance(file.content, bytes):
        entry.size = len(file.content)
        archive.addfile(entry, io.BytesIO(file.content))
    else:
        entry.size = file.content.stat().st_size
        with file.content.open("rb") as content:
            archive.addfile(entry, content)
