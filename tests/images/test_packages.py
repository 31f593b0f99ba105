"""The layer of packages: what the lock names, for the base's Python, and nothing of the machine that made it."""

from __future__ import annotations

import csv
import io
import os
import tarfile
from pathlib import Path

import pytest

from infra.errors import ConfigError
from lockstep.images import packages
from lockstep.images.archive import Written
from lockstep.images.blobs import Blobs
from tests.images.wheels import lock, wheel

LINUX = "manylinux_2_28_x86_64"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that uv takes for its only index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


@pytest.fixture
def wheels(shelf: Path) -> list[Path]:
    """One package for two Pythons and for a platform that is none of ours, and one for any."""
    tags = [f"cp311-cp311-{LINUX}", f"cp312-cp312-{LINUX}", "cp312-cp312-win_amd64", "cp312-cp312-musllinux_1_2_x86_64"]
    fast = [wheel(shelf, "fast", tag, {"fast/__init__.py": f"TAG = '{tag}'\n"}) for tag in tags]
    return [*fast, wheel(shelf, "plain", "py3-none-any", {"plain.py": "def main(): ...\n"}, {"plain": "plain:main"})]


def make(text: bytes, blobs: Blobs, python: str = "3.12.7") -> Written:
    written = packages.layer(text, python=python, prefix="opt/p", blobs=blobs)
    assert written is not None
    return written


def files(written: Written, blobs: Blobs) -> dict[str, bytes]:
    with tarfile.open(blobs.path(written.digest)) as archive:
        return {entry.name.removeprefix("opt/p/"): archive.extractfile(entry).read() for entry in archive if entry.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize(("python", "tag"), [("3.11", "cp311-cp311"), ("3.12.7", "cp312-cp312")])
def test_the_wheel_is_that_of_the_bases_python_whatever_runs_here(wheels: list[Path], blobs: Blobs, python: str, tag: str) -> None:
    found = files(make(lock(*wheels), blobs, python), blobs)
    assert found["fast/__init__.py"] == f"TAG = '{tag}-{LINUX}'\n".encode()


def test_nothing_of_this_machine_is_in_the_layer(wheels: list[Path], blobs: Blobs, tmp_path: Path) -> None:
    found = files(make(lock(*wheels), blobs), blobs)
    assert sorted(found) == [
        "bin/plain", "fast-1.0.dist-info/INSTALLER", "fast-1.0.dist-info/METADATA", "fast-1.0.dist-info/RECORD",
        "fast-1.0.dist-info/WHEEL", "fast/__init__.py", "plain-1.0.dist-info/INSTALLER", "plain-1.0.dist-info/METADATA",
        "plain-1.0.dist-info/RECORD", "plain-1.0.dist-info/WHEEL", "plain-1.0.dist-info/entry_points.txt", "plain.py",
    ]  # fmt: skip
    assert found["bin/plain"].startswith(b"#!/usr/bin/env python\n")
    assert not [name for name, content in found.items() if str(tmp_path).encode() in content]
    listed = {row[0]: row[1:] for row in csv.reader(io.StringIO(found["plain-1.0.dist-info/RECORD"].decode()))}
    assert listed["bin/plain"][1] == str(len(found["bin/plain"]))
    assert set(listed) == {name for name in found if "plain" in name}


def test_the_layer_is_the_same_wherever_and_by_whomever_it_is_made(wheels: list[Path], blobs: Blobs, tmp_path: Path) -> None:
    first = make(lock(*wheels), blobs)
    before = os.umask(0o077)
    try:
        assert make(lock(*wheels), Blobs(tmp_path / "elsewhere" / "blobs")) == first
    finally:
        os.umask(before)
    assert blobs.find(first.digest)


def test_a_layer_is_made_once_for_a_lock(wheels: list[Path], blobs: Blobs) -> None:
    text = lock(*wheels)
    first = make(text, blobs)
    for path in wheels:
        path.unlink()
    assert make(text, blobs) == first
    blobs.path(first.digest).unlink()
    with pytest.raises(ConfigError, match="its packages can't be installed"):
        make(text, blobs)


def test_bytes_that_the_lock_does_not_name_are_not_installed(wheels: list[Path], shelf: Path, blobs: Blobs) -> None:
    text = lock(*wheels)
    wheel(shelf, "plain", "py3-none-any", {"plain.py": "evil = True\n"})
    with pytest.raises(ConfigError, match=r"(?i)hash"):
        make(text, blobs)


def test_a_package_without_a_wheel_for_the_base_is_named(wheels: list[Path], blobs: Blobs) -> None:
    with pytest.raises(ConfigError, match=r"can't be installed for Python 3.13 on x86_64-manylinux_2_28.*fast"):
        make(lock(*wheels), blobs, "3.13")
    assert not blobs.folder.exists() or not list(blobs.folder.iterdir())


def test_a_lock_without_packages_gives_no_layer(blobs: Blobs) -> None:
    assert packages.layer(b"# nothing\n\n", python="3.12", prefix="opt/p", blobs=blobs) is None


@pytest.mark.parametrize(
    "first",
    ["#!/home/somebody/.venv/bin/python3", "#!python", "#!/bin/sh\n'''exec' \"/a very/long path/bin/python\" \"$0\" \"$@\"\n' '''"],
)
def test_scripts_start_with_the_bases_python(tmp_path: Path, first: str) -> None:
    script = tmp_path / "tool"
    script.write_text(f"{first}\nprint(1)\n")
    assert packages._file("bin/tool", script).content == b"#!/usr/bin/env python\nprint(1)\n"
