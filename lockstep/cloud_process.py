"""The process of the embedded cloud as seen from outside: find it, start it, stop it.

Its `state.json` says where it is; that it runs is believed only when it answers with the same process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import CloudNotRunning, LocalError, PortInUse

DEFAULT_PORT = 4566
START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class RunningCloud:
    """A cloud that answers.

    Attributes:
        url: without a slash at the end.
        started: when, by its own clock (ISO 8601).
    """

    pid: int
    port: int
    url: str
    started: str

    def clock(self, change: dict[str, float] | None = None) -> dict[str, Any]:
        """Its clock: {"time", "now", "speed", "offset"}; changed first, if a change is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST" if change else "GET", "/_lockstep/clock", body=json.dumps(change) if change else None)
            answer = connection.getresponse()
            value: dict[str, Any] = json.loads(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            remedy = "Stop it with `lockstep cloud down`, and start it anew."
            raise CloudNotRunning("the embedded cloud does not answer any more", where=self.url, remedy=remedy) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise LocalError(str(value.get("error", "the clock can't be changed")), where="clock", remedy=str(value.get("remedy", "")))
        return value


def find(home: Path) -> RunningCloud | None:
    """The cloud whose state lies in `home`, if it runs."""
    try:
        state = json.loads((home / "state.json").read_text())
        cloud = RunningCloud(int(state["pid"]), int(state["port"]), str(state["url"]), str(state["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return cloud if _answers(cloud) else None


def start(home: Path, root: Path, *, port: int, speed: float, offset: float, fresh: Callable[[], object] = lambda: None) -> RunningCloud:
    """Starts a cloud that outlives this process, and waits until it answers.

    Args:
        fresh: called once a cloud that was started here answers: an empty one, to which nothing belongs yet.

    Raises:
        PortInUse: something else listens on the port.
        LocalError: this home's cloud is there and hangs.
        LocalError: it ended, or did not answer in time; the message is its own.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _lock(home / "start.lock"):
        already = find(home)
        if already is not None:
            return already
        if (silent := _pid_of(home)) is not None:
            remedy = "Stop it with `lockstep cloud down`, and try again."
            raise LocalError(f"the embedded cloud is there (process {silent}) and does not answer", where=str(home), remedy=remedy)
        said = home / "start.log"
        command = [sys.executable, "-m", "local.cloud.server", "--home", str(home), "--port", str(port)]
        command += ["--speed", str(speed), "--clock-offset", str(offset), "--enforce-iam"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))}
        for variable in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            environment.pop(variable, None)  # those of the shell are a client's; the cloud is nobody's client
        with said.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        cloud = _await_answer(home, process, said, port)
        fresh()
        return cloud


def _await_answer(home: Path, process: subprocess.Popen[bytes], said: Path, port: int) -> RunningCloud:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            text = said.read_text(errors="replace").strip()
            if f"{port}" in text and "use" in text:
                raise PortInUse(
                    f"port {port} is taken by another process",
                    where=f"127.0.0.1:{port}",
                    remedy="Choose another with `lockstep cloud up --port`.",
                )
            # The last line that is not indented is the error itself, also of a traceback and of a message with a remedy below it.
            unindented = [line for line in text.splitlines() if line.strip() and not line.startswith(" ")]
            last = unindented[-1] if unindented else f"it ended with status {process.returncode} and no word"
            raise LocalError(f"the embedded cloud did not start: {last}", where=str(said))
        cloud = find(home)
        if cloud is not None and cloud.pid == process.pid:
            return cloud
    process.kill()
    process.wait()
    raise LocalError(f"the embedded cloud did not answer within {START_SECONDS:.0f} s", where=str(home / "cloud.log"))


def stop(home: Path) -> int | None:
    """Stops the cloud of `home`, and waits until its process is gone. Its id; None if none ran."""
    pid = _pid_of(home)
    if pid is None:
        return None
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _gone(pid, patience):
            break
    (home / "state.json").unlink(missing_ok=True)
    return pid


def _pid_of(home: Path) -> int | None:
    """The process of this home's cloud, also when it hangs and does not answer."""
    try:
        pid = int(json.loads((home / "state.json").read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A process id is used again after a while: only a process that was started for this home is ours.
    listing = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return pid if "local.cloud.server" in listing and str(home) in listing else None


def _gone(pid: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    tick = threading.Event()
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # if it is our own child, as in tests
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        tick.wait(0.05)
    return False


def _answers(cloud: RunningCloud) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=5)
    try:
        connection.request("GET", "/_lockstep/health")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read()).get("pid") == cloud.pid
    except (OSError, ValueError, http.client.HTTPException, AttributeError):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One starter at a time: a second one finds the first one's cloud."""
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
