"""Builds the engine from its Go module into a cache outside the checkout, once a machine.

What is built is pinned by `module/go.mod` and verified by `module/go.sum`; the cache folder carries the digest of both, so
another pin is another folder. A build goes to a temporary file and appears in the cache by a rename: a cache folder with a
`pulumi` in it is whole. A file lock keeps two builders from doing the same work.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from local.engine.errors import BuildFailed, GoMissing, GoTooOld

MODULE = Path(__file__).parent / "module"
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

# How many packages the build of this pin compiles (`go list -deps`), for the progress line alone.
PACKAGES = 1649


def engine_version(module: Path = MODULE) -> str:
    """The version that go.mod pins, without the leading v."""
    found = re.search(r"^require github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildFailed("the module does not require the engine", where=str(module / "go.mod"))
    return found.group(1)


def cache_root() -> Path:
    """The folder of all engines built on this machine."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lockstep" / "engine"


def cached_engine(module: Path = MODULE) -> Path:
    """Where the engine of this pin lies, built or not."""
    pin = hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()).hexdigest()[:12]
    return cache_root() / f"{engine_version(module)}-{pin}" / "pulumi"


def build(progress: TextIO = sys.stderr, module: Path = MODULE) -> Path:
    """The engine of this pin, built now if the cache does not have it.

    Args:
        progress: where to report; a line that renews itself on a terminal, a line now and then elsewhere.

    Raises:
        GoMissing, GoTooOld, BuildFailed.
    """
    target = cached_engine(module)
    if target.is_file():
        return target
    go = _go(module)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildFailed(f"the cache folder can't be made: {error.strerror}", where=str(target.parent)) from error
    with _only_builder(target.parent / ".lock", progress):
        if not target.is_file():
            _compile(go, target, module, progress)
    return target


def _go(module: Path) -> str:
    go = shutil.which("go")
    if go is None:
        raise GoMissing(
            "there is no usable Pulumi engine on PATH, and no Go to build one",
            where="PATH",
            remedy="Install Pulumi (https://www.pulumi.com/docs/iac/download-install/) or Go (https://go.dev/dl/), and try again.",
        )
    # Run inside the module, go itself compares its version with the one that go.mod asks for, toolchain rules included.
    answer = subprocess.run([go, "env", "GOVERSION"], cwd=module, env=_go_environment(), capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise GoTooOld(
            "this Go can't build the Pulumi engine: " + (answer.stderr.strip().splitlines() or ["no reason given"])[-1],
            where=go,
            remedy="Install a newer Go, or Pulumi itself, and try again.",
        )
    return go


def _go_environment() -> dict[str, str]:
    """The caller's environment, without flags that would turn off go.sum or build something else."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GOFLAGS", "GOWORK", "GOOS", "GOARCH")}
    return environment | {"GOWORK": "off", "CGO_ENABLED": "0"}


@contextlib.contextmanager
def _only_builder(lock: Path, progress: TextIO) -> Iterator[None]:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another process builds the Pulumi engine; waiting for it.", file=progress, flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _compile(go: str, target: Path, module: Path, progress: TextIO) -> None:
    version = engine_version(module)
    log = target.parent / "build.log"
    print(f"Building the Pulumi engine {version} (once a machine; about five minutes on two cores).", file=progress, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        built = Path(scratch) / "pulumi"
        command = [go, "build", "-v", "-mod=readonly", "-trimpath"]
        command += ["-ldflags", f"-s -w -X {VERSION_VARIABLE}={version}", "-o", str(built), PACKAGE]
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=module,
            env=_go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            with log.open("w") as record:
                _follow(process.stdout, record, _Meter(progress, started))
        if process.returncode != 0 or not built.is_file():
            last = [line for line in log.read_text().splitlines() if line.strip()][-3:]
            raise BuildFailed(
                "the Pulumi engine could not be built: " + (" | ".join(last) or f"go ended with status {process.returncode}"),
                where=str(log),
                remedy="The log has it all. If modules could not be fetched, check the network and GOPROXY, and try again.",
            )
        os.replace(built, target)
    print(f"Built {target} in {time.monotonic() - started:.0f} s.", file=progress, flush=True)


def _follow(lines: TextIO | Iterator[str], record: TextIO, meter: _Meter) -> None:
    for line in lines:
        record.write(line)
        if line.startswith("go: downloading"):
            meter.fetched += 1
        elif re.fullmatch(r"[\w.\-]+(/[\w.\-~+]+)*\n?", line):
            meter.compiled += 1
        meter.show()
    meter.end()


@dataclass
class _Meter:
    """Counts what the build has done, and shows it without flooding a log."""

    out: TextIO
    started: float
    fetched: int = 0
    compiled: int = 0
    _shown: float = 0.0

    def show(self) -> None:
        now = time.monotonic()
        if now - self._shown < (0.5 if self.out.isatty() else 20.0):
            return
        self._shown = now
        elapsed = int(now - self.started)
        text = (
            f"  {elapsed // 60}:{elapsed % 60:02d}  {self.fetched} modules fetched, {self.compiled} of at most {PACKAGES} packages compiled"
        )
        print(f"\r{text}" if self.out.isatty() else text, end="" if self.out.isatty() else "\n", file=self.out, flush=True)

    def end(self) -> None:
        if self.out.isatty() and self._shown:
            print(file=self.out, flush=True)
