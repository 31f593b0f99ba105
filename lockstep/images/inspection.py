"""What a base must have for code of ours to run on it, looked for in its layers before they are pushed.

glibc, as the packages are built for it, and in a folder of PATH a `python` of the version that they were installed for. A base that lacks
one would fail in every job, with words that nobody connects with it.
"""

from __future__ import annotations

import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Callable

from infra.errors import ConfigError
from lockstep.images.base import Base

LOADER = "ld-linux-x86-64.so.2"
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def check(base: Base, progress: Callable[[str], None] = lambda _: None) -> None:
    """Read the names in all layers of the base; `progress` is called with one line before each.

    Raises:
        ConfigError: something is missing, or a layer is no archive.
        PreflightError, IntegrityError: a layer can't be read.
    """
    names = _names(base, progress)
    if not any(posixpath.basename(name) == LOADER for name in names):
        raise ConfigError(
            "the base has no glibc for x86-64",
            where=base.name,
            remedy="Images built on musl (alpine) can't run manylinux wheels: choose one on Debian, Ubuntu or Amazon Linux.",
        )
    version = ".".join(base.python.split(".")[:2])
    for program in ("python", f"python{version}"):
        if not any(posixpath.join(folder, program) in names for folder in _folders(base)):
            raise ConfigError(
                f"the base has no program {program!r} in its PATH",
                where=base.name,
                remedy="Choose a base whose `python` is the version that it, or --base-python, says.",
            )


def _names(base: Base, progress: Callable[[str], None]) -> set[str]:
    """Every path in the base, without leading slash; what upper layers hide is among them."""
    names: set[str] = set()
    for layer in base.layers:
        progress(f"{layer.digest[:19]}  {layer.size:>11,} bytes  reading")
        try:
            with base.open(layer.digest) as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
                names.update(posixpath.normpath("/" + entry.name).lstrip("/") for entry in archive)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ConfigError(f"a layer of the base is no archive: {error}", where=f"{base.name} {layer.digest}") from error
    return names


def _folders(base: Base) -> set[str]:
    """The folders of PATH; with /bin, which is a link to usr/bin in most bases, goes the place that it links to."""
    path = [folder.strip("/") for folder in base.environment.get("PATH", DEFAULT_PATH).split(":")]
    return {*path, *(f"usr/{folder}" for folder in path)}
