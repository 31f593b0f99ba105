"""One instance of a production variant: a serving process, its health, and a pool of connections to it."""

from __future__ import annotations

import contextlib
import http.client
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.cloud.containers.process import STOP_GRACE, ContainerProcess

from .records import ConfigRecord

PING_TIMEOUT = 2.0
"""Seconds in which /ping has to answer [developer guide: your own inference code]."""

PING_PAUSE = 0.05
PORT_HELD = 600.0
INVOCATION_TIMEOUT = 60.0
RACE_SECONDS = 0.02
"""A kept connection that ends within this time of being used was closed by the server as idle."""

PORTS = range(18000, 32000)
"""Below Linux's range of ephemeral ports, so that no outgoing connection takes a port between its choice and its use."""


@dataclass(frozen=True)
class Reply:
    """What a container answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreachable(Exception):
    """No connection to the instance: the request was not sent."""


class Broken(Exception):
    """The connection ended, or nothing came in time, after the request was sent."""


_handed_out: dict[int, float] = {}
_handing_out = threading.Lock()


def free_port() -> int:
    """A port that nothing listens on, and that was not given to another instance which is still starting."""
    while True:
        port = random.choice(PORTS)
        with _handing_out:
            if time.monotonic() - _handed_out.get(port, -PORT_HELD) < PORT_HELD:
                continue
            _handed_out[port] = time.monotonic()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Instance:
    """A serving process behind the router. `acquire` before each request; a draining instance refuses."""

    def __init__(self, identifier: str, config: ConfigRecord, port: int, process: ContainerProcess, stopped: threading.Event) -> None:
        self.identifier = identifier
        self.config = config
        self.port = port
        self.process = process
        self._stopped = stopped
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._changed = threading.Condition()
        self._in_flight = 0
        self._draining = False

    @property
    def load(self) -> int:
        return self._in_flight

    @property
    def exited(self) -> bool:
        return self.process.poll() is not None

    def wait_healthy(self, timeout: float, stop: threading.Event) -> bool:
        """Waits, at most `timeout` real seconds, for /ping to answer 200; False when it does not, or the process exits, or `stop` is
        set."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self.exited and not stop.is_set():
            if self.ping():
                return True
            self._stopped.wait(PING_PAUSE)
        return False

    def ping(self) -> bool:
        """Whether /ping answers 200 within its time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def acquire(self) -> bool:
        """Counts a request in; False when the instance is draining and takes none."""
        with self._changed:
            if self._draining:
                return False
            self._in_flight += 1
            return True

    def release(self) -> None:
        """Counts a request out."""
        with self._changed:
            self._in_flight -= 1
            if not self._in_flight:
                self._changed.notify_all()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """POST /invocations, over a kept connection where there is one.

        The server may close a kept connection at the very moment it is used: a request that is cut off at once is sent again, to the same
        instance. One that made the process crash is not carried on to the next instance.
        """
        kept = self._kept()
        if kept is None:
            return self._send(self._connected(), body, headers)
        start = time.monotonic()
        try:
            return self._send(kept, body, headers)
        except Broken:
            if time.monotonic() - start > RACE_SECONDS:
                raise
        try:
            return self._send(self._connected(), body, headers)
        except Unreachable as error:
            raise Broken(str(error)) from error

    def _kept(self) -> http.client.HTTPConnection | None:
        """A kept connection that the server has not closed."""
        while self._idle:
            with contextlib.suppress(IndexError):
                connection = self._idle.pop()
                if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                    return connection
                connection.close()
        return None

    def _connected(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=INVOCATION_TIMEOUT)
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(str(error)) from error
        return connection

    def _send(self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            response = connection.getresponse()
            reply = Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Broken(str(error)) from error
        if response.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return reply

    def drain(self, grace: float = STOP_GRACE, *, then: Callable[[], None] | None = None) -> None:
        """Takes no more requests, finishes those in flight, then SIGTERM, and SIGKILL after `grace` seconds. Waits for the end."""
        with self._changed:
            self._draining = True
            self._changed.wait_for(lambda: not self._in_flight or self.exited, timeout=INVOCATION_TIMEOUT + 5)
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()
        self.process.terminate(grace)
        self.process.wait(grace + 5)
        if then:
            then()
