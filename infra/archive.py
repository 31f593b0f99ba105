"""The model archive of the bootstrap release: same sources, same bytes, on every machine."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).parent / "bootstrap" / "inference.py"
_MEMBER = "code/inference.py"


@dataclass(frozen=True)
class Archive:
    """A `model.tar.gz`: its bytes in base64, and the hex SHA-256 of the bytes themselves."""

    content_base64: str
    sha256: str


def bootstrap_archive(source: bytes | None = None) -> Archive:
    """Packs the bootstrap's inference code as SageMaker unpacks it: `code/inference.py` in a gzipped tar.

    Args:
        source: the code; the one that ships, by default.
    """
    code = _SOURCE.read_bytes() if source is None else source
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo(_MEMBER)
        member.size, member.mode = len(code), 0o644
        tar.addfile(member, io.BytesIO(code))
    # Level 0 stores the bytes: what a compressor makes of them depends on its version.
    content = gzip.compress(packed.getvalue(), compresslevel=0, mtime=0)
    return Archive(base64.b64encode(content).decode("ascii"), hashlib.sha256(content).hexdigest())
