"""Byte-for-byte reproducible tar and gzip: the same files give the same digest, on every machine.

Names are sorted, times and owners are zero, modes are 0644 or 0755. The gzip stream holds stored blocks, because what a
compressor makes of the same bytes differs between versions of zlib; sources are small.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

BLOCK = 65535  # RFC 1951, 3.2.4: LEN of a stored block has 16 bits
GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])  # RFC 1952: no name, no time, unknown system


@dataclass(frozen=True)
class File:
    """Content of a file in an image, and whether it may be executed."""

    content: bytes
    executable: bool = False


def tar(files: Mapping[str, File]) -> bytes:
    """A tar archive of `files` (path without leading slash -> file) and of the folders above them."""
    folders = {"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folders | set(files)):
            entry = tarfile.TarInfo(path)
            entry.mtime = 0
            if path in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(files[path].content), 0o755 if files[path].executable else 0o644
                archive.addfile(entry, io.BytesIO(files[path].content))
    return stream.getvalue()


def gzip(data: bytes) -> bytes:
    """`data` as a gzip stream of stored blocks (RFC 1951, 3.2.4; RFC 1952)."""
    pieces = [GZIP_HEADER]
    starts = range(0, len(data), BLOCK) if data else [0]
    for start in starts:
        block = data[start : start + BLOCK]
        final = 1 if start + BLOCK >= len(data) else 0
        pieces.append(struct.pack("<BHH", final, len(block), len(block) ^ 0xFFFF) + block)
    pieces.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(pieces)
