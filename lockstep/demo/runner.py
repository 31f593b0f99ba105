"""Plays one step of the demo: the command that a person would type, its output as it comes, its exit code judged."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from infra.errors import LockstepError
from lockstep.context import home

_KEPT_LINES = 60


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the demo.

    `argv` is what runs, `shown` what a person would type for it. `expected` are the exit codes that mean that the step did what the
    demo says it does; `keep` decides which lines of output are printed as they come.
    """

    title: str
    argv: Sequence[str]
    shown: str
    environment: Mapping[str, str]
    expected: frozenset[int] = frozenset({0})
    keep: Callable[[str], bool] = lambda line: bool(line.strip())


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a step did: its exit code, its output, and how many real seconds it took."""

    step: Step
    exit_code: int
    output: str
    seconds: float


class Runner:
    """Runs steps in the project's root, numbers them, and keeps what they took."""

    def __init__(self, root: Path, console: Console, *, total: int) -> None:
        self.ran: list[Ran] = []
        self._root = root
        self._console = console
        self._total = total
        self._number = 0
        self._lock = threading.Lock()

    def heading(self, title: str) -> None:
        self._number += 1
        self._console.print(f"\n[bold][{self._number}/{self._total}] {escape(title)}[/bold]", highlight=False)

    def run(self, step: Step, *, label: str = "") -> Ran:
        """Runs one step to its end.

        Raises:
            LockstepError: it ended with an exit code that the demo does not expect.
        """
        prefix = f"{label:8} " if label else ""
        self._say(f"  {prefix}[cyan]$ {escape(step.shown)}[/cyan]")
        begun = time.monotonic()
        lines: list[str] = []
        with subprocess.Popen(
            list(step.argv),
            cwd=self._root,
            env={**os.environ, **step.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    lines.append(line.rstrip())
                    if step.keep(line):
                        self._say(f"    {prefix}{escape(line.rstrip())}")
            except KeyboardInterrupt:
                process.terminate()
                raise
        ran = Ran(step=step, exit_code=process.returncode, output="\n".join(lines), seconds=time.monotonic() - begun)
        with self._lock:
            self.ran.append(ran)
        if ran.exit_code not in step.expected:
            tail = "\n".join(lines[-_KEPT_LINES:])
            expected = " or ".join(map(str, sorted(step.expected)))
            raise LockstepError(
                f"exit code {ran.exit_code}, not {expected}. Its last lines:\n{tail}",
                where=step.shown,
                remedy=f"`make clean` starts over; the cloud's log is {home() / 'cloud' / 'cloud.log'}.",
            )
        self._say(f"    {prefix}[dim]{ran.seconds:.1f} s{'' if ran.exit_code == 0 else f', exit code {ran.exit_code}'}[/dim]")
        return ran

    def together(self, steps: Mapping[str, Step]) -> list[Ran]:
        """Runs several steps side by side, each line labelled. The first error is raised once all have ended."""
        results: dict[str, Ran] = {}
        failures: list[Exception] = []

        def play(label: str, step: Step) -> None:
            try:
                results[label] = self.run(step, label=label)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=play, args=item) for item in steps.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return [results[label] for label in steps]

    def _say(self, text: str) -> None:
        with self._lock:
            self._console.print(text, highlight=False, soft_wrap=True)


def lockstep(*arguments: str) -> tuple[list[str], str]:
    """The command line of this very installation, and how a person types it."""
    return [sys.executable, "-m", "lockstep.main", *arguments], shlex.join(["lockstep", *arguments])
