"""Which engine is used."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from local.engine import build, locate
from local.engine.errors import GoMissing
from tests.engine.fakes import fake_go, fake_pulumi, script


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing of ours: an empty cache, and a PATH with the basic tools only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


def put_into_cache() -> Path:
    return fake_pulumi(build.cached_engine().parent, "v3.250.0")


def test_an_engine_on_path_is_used(machine: Path) -> None:
    pulumi = fake_pulumi(machine / "bin", "v3.231.4")
    found = locate.find()
    assert found == locate.Engine(pulumi, (3, 231, 4), has_language_host=False)


@pytest.mark.parametrize("version", ["v3.219.9", "v2.300.0", "not a version", ""])
def test_an_old_or_strange_engine_on_path_is_not_used(machine: Path, version: str) -> None:
    fake_pulumi(machine / "bin", version)
    assert locate.find() is None
    cached = put_into_cache()
    found = locate.find()
    assert found is not None
    assert found.pulumi == cached


def test_an_engine_on_path_wins_over_the_cache(machine: Path) -> None:
    put_into_cache()
    on_path = fake_pulumi(machine / "bin", "3.300.0")
    found = locate.find()
    assert found is not None
    assert found.pulumi == on_path


def test_our_own_folder_on_path_is_not_the_machines(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `eval "$(lockstep cloud env dev)"` the cache is on PATH; the next call must come to the same result."""
    cached = put_into_cache()
    monkeypatch.setenv("PATH", f"{cached.parent}{os.pathsep}{os.environ['PATH']}")
    assert str(cached.parent) not in locate.foreign_path()
    found = locate.find()
    assert found is not None
    assert found.pulumi == cached


@pytest.mark.parametrize("place", ["bin", "elsewhere"])
def test_the_official_language_host_is_seen_beside_the_engine_and_on_path(
    machine: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pulumi(machine / "bin", "v3.240.0")
    script(machine / place / locate.LANGUAGE_HOST, "exit 0")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{machine / 'elsewhere'}")
    found = locate.find()
    assert found is not None
    assert found.has_language_host


def test_an_engine_that_is_passed_over_is_named(machine: Path) -> None:
    old = fake_pulumi(machine / "bin", "v3.100.0")
    told = io.StringIO()
    with pytest.raises(GoMissing, match="no usable Pulumi engine on PATH"):
        locate.ensure(told)
    assert told.getvalue() == f"Not used: {old} is 3.100.0; needed is 3.220.0 or newer.\n"


def test_ensure_builds_only_where_there_is_none(machine: Path) -> None:
    fake_go(machine / "bin", build='printf "#!/bin/sh\\necho v3.250.0\\n" > "$out"; chmod +x "$out"')
    built = locate.ensure()
    assert built.pulumi == build.cached_engine()
    (machine / "bin" / "go").unlink()
    assert locate.ensure() == built
