"""The cloud as a daemon, and its children: none outlives it, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.cloud.processes import Processes

ROOT = Path(__file__).parents[3]
DEADLINE = 90.0


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z" if Path("/proc").exists() else True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def daemon(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local.cloud.server", "--home", str(home), "--port", "0", "--clock-offset", "86400"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        until((home / "state.json").exists)
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE)


def test_it_says_where_it_is_and_leaves_on_sigterm(daemon: subprocess.Popen[bytes], home: Path) -> None:
    state = json.loads((home / "state.json").read_text())
    assert state["pid"] == daemon.pid
    assert state["url"] == f"http://127.0.0.1:{state['port']}"
    again = subprocess.run(
        [sys.executable, "-m", "local.cloud.server", "--home", str(home.with_name("other")), "--port", str(state["port"])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert f"port {state['port']} is in use" in again.stderr
    daemon.terminate()
    assert daemon.wait(DEADLINE) == 0
    assert not (home / "state.json").exists()


# A process that starts a child and a grandchild by the registry, says their pids, and waits to be killed.
VICTIM = """
import sys, time
from pathlib import Path
from local.cloud.processes import Processes
processes = Processes()
child = processes.spawn(["sh", "-c", f"sleep 600 & echo $! > {sys.argv[1]}; wait"], env={"PATH": "/usr/bin:/bin"})
print(child.pid, flush=True)
time.sleep(600)
"""


def test_children_and_grandchildren_die_with_a_killed_cloud(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, str(note)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert victim.stdout is not None
        child = int(victim.stdout.readline())
        until(lambda: note.exists() and note.read_text().strip())
        grandchild = int(note.read_text())
        assert alive(child)
        assert alive(grandchild)
    finally:
        victim.kill()
        victim.wait()
    until(lambda: not alive(child) and not alive(grandchild))


def test_closing_ends_even_those_that_ignore_sigterm(tmp_path: Path) -> None:
    processes = Processes()
    log = tmp_path / "log"
    stubborn = processes.spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], env={"PATH": "/usr/bin:/bin"}, log_path=log
    )
    until(lambda: "ready" in log.read_text())
    processes.close(grace=0.2)
    assert stubborn.poll() == -signal.SIGKILL
    with pytest.raises(RuntimeError, match="closing"):
        processes.spawn(["true"], env={})
