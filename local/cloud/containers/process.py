"""One container as a process: a group of its own, its output as lines, its end as an event."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.cloud.processes import Processes

STOP_GRACE = 30.0
LINE_LIMIT = 250 * 1024  # bytes; an event of CloudWatch Logs may hold 256 KiB with its overhead


class ContainerProcess:
    """A running (or ended) container. Safe to use from several threads."""

    def __init__(
        self,
        processes: Processes,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Callable[[str], None],
        scratch: Path | None = None,
        on_exit: Callable[[ContainerProcess], None] | None = None,
    ) -> None:
        """Start it. Raises OSError where the program is not there. `scratch` is removed when the process has ended."""
        self._process = processes.spawn(arguments, environment, folder, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self._output = processes.pipe(self._process)
        self._log = log
        self._scratch = scratch
        self._on_exit = on_exit
        self._status: int | None = None
        self._exited = threading.Event()
        self._ended = threading.Event()
        self._pump = threading.Thread(target=self._read, name=f"log-{self.pid}", daemon=True)
        self._pump.start()
        threading.Thread(target=self._reap, name=f"wait-{self.pid}", daemon=True).start()

    def poll(self) -> int | None:
        """The exit status where it has ended (negative: ended by that signal), else None."""
        return self._status

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end, its whole output logged; the exit status, or None where `timeout` real seconds passed first."""
        return self._status if self._ended.wait(timeout) else None

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        if not self._exited.is_set():
            self._process.kill()

    def terminate(self, grace: float = STOP_GRACE) -> None:
        """SIGTERM to the first process, as a container engine does it; SIGKILL to all after `grace` real seconds. Does not wait."""
        if self._exited.is_set():
            return
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        threading.Thread(target=self._kill_after, args=(grace,), name=f"stop-{self.pid}", daemon=True).start()

    def _kill_after(self, grace: float) -> None:
        if not self._exited.wait(grace):
            self.kill()

    def _read(self) -> None:
        for line in iter(lambda: self._output.readline(LINE_LIMIT), b""):
            self._log(line.decode("utf-8", "replace").rstrip("\r\n"))
        self._output.close()

    def _reap(self) -> None:
        self._status = self._process.wait()
        self._exited.set()
        self._pump.join(10)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._ended.set()
        if self._on_exit is not None:
            self._on_exit(self)
