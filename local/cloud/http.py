"""HTTP for the embedded cloud: a threaded loopback server with keep-alive that reads whole requests and writes whole answers."""

from __future__ import annotations

import contextlib
import errno
import shutil
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import responses as reasons
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.errors import LocalError, PortInUse

_NO_BODY = {204, 304}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came: `target` undecoded, header names as sent, the whole body."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    _lower: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The undecoded path, without the query."""
        return self.target.split("?", 1)[0]

    @property
    def query(self) -> str:
        return self.target.split("?", 1)[1] if "?" in self.target else ""

    def header(self, name: str, default: str = "") -> str:
        """A header's value by its lower-case name; values of a repeated header are joined by commas."""
        if not self._lower:
            for key, value in self.headers:
                known = self._lower.get(key.lower())
                self._lower[key.lower()] = value if known is None else f"{known},{value}"
        return self._lower.get(name, default)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer; `Date`, `Content-Length` and `Connection` are the server's to write. A large body is the path of a file."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | Path = b""


Application = Callable[[HttpRequest], HttpResponse]


class Server:
    """Serves `application` on 127.0.0.1 until closed. Listening as soon as constructed; `start` begins to answer."""

    def __init__(self, application: Application, port: int = 0, date: Callable[[], str] | None = None) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        owner = self

        class Handler(_Handler):
            answer = staticmethod(application)
            http_date = staticmethod(date) if date else None

            def setup(self) -> None:
                super().setup()
                with owner._lock:
                    owner._open.add(self.connection)

            def finish(self) -> None:
                with owner._lock:
                    owner._open.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

        try:
            self._server = _Listener(("127.0.0.1", port), Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(
                    f"port {port} is in use", where="embedded cloud", remedy="stop what listens there, or give another with --port"
                ) from error
            raise LocalError(
                f"can't listen on port {port}: {error.strerror}", where="embedded cloud", remedy="give another port with --port"
            ) from error
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="cloud-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut the connections that clients keep open."""
        if self._thread:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away mid-request is its own business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    answer: Application
    http_date: Callable[[], str] | None

    def _serve(self) -> None:
        body = self._body()
        request = HttpRequest(self.command, self.path, list(self.headers.items()), body)
        self._write(type(self).answer(request))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _serve

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else b""

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _write(self, response: HttpResponse) -> None:
        names = {name.lower() for name, _ in response.headers}
        lines = [f"HTTP/1.1 {response.status} {reasons.get(response.status, 'Answer')}"]
        lines += [f"{name}: {_one_line(value)}" for name, value in response.headers]
        if self.http_date is not None and "date" not in names:
            lines.append(f"Date: {type(self).http_date()}")  # type: ignore[misc]
        bare = self.command == "HEAD" or response.status in _NO_BODY
        if "content-length" not in names and response.status not in _NO_BODY:
            length = response.body.stat().st_size if isinstance(response.body, Path) else len(response.body)
            lines.append(f"Content-Length: {length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if isinstance(response.body, Path) and not bare:
            self.wfile.write(head)
            with response.body.open("rb") as stream:
                shutil.copyfileobj(stream, self.wfile, 1 << 20)
        else:
            self.wfile.write(head if bare or isinstance(response.body, Path) else head + response.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are logged by the dispatcher, with what they were."""


def _one_line(value: str) -> str:
    return str(value).replace("\r", " ").replace("\n", " ")
