"""Child processes of the cloud: jobs and serving processes. None outlives it, not even when it is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_GUARD = Path(__file__).with_name("guard.py")


class Process:
    """A child with a process group of its own; signals reach the whole group, so what it started ends with it."""

    def __init__(self, popen: subprocess.Popen[bytes], registry: Processes) -> None:
        self._popen = popen
        self._registry = registry
        self.pid = popen.pid
        self.args = popen.args

    @property
    def returncode(self) -> int | None:
        return self._popen.returncode

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        status = self._popen.poll()
        if status is not None:
            self._registry._forget(self)
        return status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, at most `timeout` real seconds; subprocess.TimeoutExpired after."""
        status = self._popen.wait(timeout)
        self._registry._forget(self)
        return status

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the group; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def stop(self, grace: float = 30.0) -> int:
        """SIGTERM, and SIGKILL for what is left after `grace` real seconds, as SageMaker stops a container."""
        if self.poll() is None:
            self.terminate()
            try:
                self._popen.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        self.kill()
        return self.wait()


class Processes:
    """Starts children and ends them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._alive: dict[int, Process] = {}
        self._guard: subprocess.Popen[str] | None = None
        self._closed = False

    def spawn(
        self,
        args: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | str | None = None,
        log_path: Path | None = None,
        stdout: int | IO[bytes] | None = None,
    ) -> Process:
        """Start a child in a group of its own. Its output goes to `log_path` (appended), or to `stdout` as in subprocess, or nowhere."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the cloud is closing; it starts no more processes")
            guard = self._watch()
            with contextlib.ExitStack() as stack:
                if log_path is not None:
                    log_path.parent.mkdir(parents=True, exist_ok=True)
                    sink: int | IO[bytes] = stack.enter_context(log_path.open("ab"))
                else:
                    sink = subprocess.DEVNULL if stdout is None else stdout
                popen = subprocess.Popen(
                    list(args),
                    env=dict(env),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            process = Process(popen, self)
            self._alive[popen.pid] = process
            self._tell(guard, f"+{popen.pid}")
            return process

    def pipe(self, process: Process) -> IO[bytes]:
        """The output of a child that was spawned with stdout=subprocess.PIPE."""
        assert process._popen.stdout is not None
        return process._popen.stdout

    def close(self, grace: float = 5.0) -> None:
        """End all children: SIGTERM to all, SIGKILL after `grace` real seconds to those left; then the watchman goes home."""
        with self._lock:
            self._closed = True
            alive = list(self._alive.values())
        for process in alive:
            process.terminate()
        for process in alive:
            process.stop(grace)
        with self._lock:
            guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.stdin.close()
            guard.wait()

    def _watch(self) -> subprocess.Popen[str]:
        if self._guard is None or self._guard.poll() is not None:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            for pid in self._alive:
                self._tell(self._guard, f"+{pid}")
        return self._guard

    def _forget(self, process: Process) -> None:
        with self._lock:
            if self._alive.pop(process.pid, None) is None:
                return
            # Strays of a group whose leader ended are ended too: a job's leftovers must not outlive the job.
            process.kill()
            if self._guard is not None:
                self._tell(self._guard, f"-{process.pid}")

    @staticmethod
    def _tell(guard: subprocess.Popen[str], line: str) -> None:
        assert guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.write(line + "\n")
            guard.stdin.flush()
