"""Blobs of images on this machine: under ${XDG_CACHE_HOME:-~/.cache}/lockstep/blobs, each named by the digest of its bytes.

A blob is held against its digest when it is written and again when it is read; it appears whole or not at all. Anything there can be
deleted at any time: it is fetched or made again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.errors import IntegrityError

CHUNK = 1 << 20


def digest_of(data: bytes) -> str:
    """`sha256:` and the hex digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Blobs:
    """A cache of blobs in one folder."""

    folder: Path

    @classmethod
    def of_this_machine(cls) -> Blobs:
        return cls(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lockstep" / "blobs")

    def path(self, digest: str) -> Path:
        """Where a blob lies or would lie."""
        return self.folder / digest.removeprefix("sha256:")

    def find(self, digest: str) -> Path | None:
        """The blob's file, its bytes checked; None if there is none. One that was damaged is removed."""
        path = self.path(digest)
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if f"sha256:{found}" == digest:
            return path
        path.unlink(missing_ok=True)
        return None

    def keep(self, digest: str, chunks: Iterable[bytes], *, where: str) -> Path:
        """Write a blob. Raises IntegrityError, naming `where` the bytes came from, if they are not those of the digest."""

        def fill(scratch: Path) -> str:
            hasher = hashlib.sha256()
            with scratch.open("wb") as stream:
                for chunk in chunks:
                    hasher.update(chunk)
                    stream.write(chunk)
            found = f"sha256:{hasher.hexdigest()}"
            if found != digest:
                raise IntegrityError(
                    f"the bytes have digest {found}",
                    where=f"{where} {digest}",
                    remedy="The registry, or something on the way to it, is broken: try another.",
                )
            return digest

        return self.path(self.make(fill))

    def make(self, fill: Callable[[Path], str]) -> str:
        """Let `fill` write a file and say its digest; the file then becomes the blob of that name. Returns the digest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".incoming-", dir=self.folder)
        os.close(handle)
        scratch = Path(name)
        try:
            digest = fill(scratch)
            scratch.replace(self.path(digest))
        finally:
            scratch.unlink(missing_ok=True)
        return digest
