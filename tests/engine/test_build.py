"""How the engine is built, and what is said when it can't be. Go itself is a script here."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.engine import build
from local.engine.errors import BuildFailed, GoMissing, GoTooOld
from tests.engine.fakes import fake_go, script

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


def test_a_build_appears_in_the_cache_whole(machine: Path) -> None:
    fake_go(
        machine / "bin",
        build="""
echo "$@" > /dev/null
echo "go: downloading github.com/pulumi/pulumi/pkg/v3 v3.250.0" >&2
echo "github.com/pulumi/pulumi/sdk/v3/go/common/version" >&2
echo "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi" >&2
echo engine > "$out"
""",
    )
    said = io.StringIO()
    built = build.build(said)
    assert built == build.cached_engine()
    assert built.read_text() == "engine\n"
    assert sorted(path.name for path in built.parent.iterdir()) == [".lock", "build.log", "pulumi"]
    assert "Building the Pulumi engine 3.250.0" in said.getvalue()
    assert "0:00  1 modules fetched, 0 of at most" in said.getvalue()
    assert f"Built {built}" in said.getvalue()


def test_what_is_built_is_pinned_and_checked(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags in the caller's environment that would let go change go.sum, or build for elsewhere, do not reach it."""
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOARCH", "mips")
    script(
        machine / "bin" / "go",
        """
[ "$1" = env ] && exit 0
echo "args: $*"; echo "flags: [$GOFLAGS] [$GOARCH] $GOWORK"; pwd
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
echo engine > "$out"
""",
    )
    log = build.build(io.StringIO()).with_name("build.log").read_text()
    assert "-mod=readonly" in log
    assert "version.Version=3.250.0" in log
    assert "flags: [] [] off" in log
    assert str(build.MODULE) in log


def test_a_failed_build_says_why_and_leaves_nothing_to_be_taken_for_an_engine(machine: Path) -> None:
    fake_go(machine / "bin", build='echo half > "$out"; echo "verifying module: checksum mismatch" >&2; exit 1')
    with pytest.raises(BuildFailed, match="checksum mismatch") as caught:
        build.build(io.StringIO())
    assert Path(caught.value.where).read_text() == "verifying module: checksum mismatch\n"
    assert not build.cached_engine().exists()


def test_without_go_the_error_says_what_to_install(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine / "bin"))
    with pytest.raises(GoMissing, match="no Go to build one") as caught:
        build.build(io.StringIO())
    assert "https://go.dev/dl/" in caught.value.remedy


def test_a_go_that_is_too_old_is_named_in_its_own_words(machine: Path) -> None:
    fake_go(
        machine / "bin", build="exit 1", env='echo "go: go.mod requires go >= 1.25.11 (running go 1.21.0; GOTOOLCHAIN=local)" >&2; exit 1'
    )
    with pytest.raises(GoTooOld, match=r"requires go >= 1\.25\.11") as caught:
        build.build(io.StringIO())
    assert caught.value.where == str(machine / "bin" / "go")


def test_two_builders_build_once(machine: Path) -> None:
    """The second waits for the first's lock and takes its engine."""
    fake_go(machine / "bin", build=f'echo built >> {machine}/count; read line < {machine}/go-on; echo engine > "$out"')
    os.mkfifo(machine / "go-on")
    program = "from local.engine import build; build.build()"
    builders = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
        for _ in range(2)
    ]
    with (machine / "go-on").open("w") as go_on:  # opens when one go reads
        waiting = _first_that_says(builders, "waiting for it")
        go_on.write("\n")
    assert [builder.wait(90) for builder in builders] == [0, 0]
    for builder in builders:
        assert builder.stderr is not None
        builder.stderr.close()
    assert waiting is not None
    assert (machine / "count").read_text() == "built\n"


def _first_that_says(processes: list[subprocess.Popen[str]], words: str) -> subprocess.Popen[str] | None:
    """Reads the first line of each; each says one at once."""
    for process in processes:
        assert process.stderr is not None
        if words in process.stderr.readline():
            return process
    return None


def test_the_command_prints_the_path_or_one_clear_error(machine: Path) -> None:
    environment = {**os.environ, "PATH": str(machine / "bin")}
    failed = subprocess.run([sys.executable, "-m", "local.engine"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: PATH: there is no usable Pulumi engine on PATH")
    assert "Traceback" not in failed.stderr
    script(machine / "bin" / "pulumi", "echo v3.240.0")
    found = subprocess.run([sys.executable, "-m", "local.engine"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, f"{machine / 'bin' / 'pulumi'}\n")
