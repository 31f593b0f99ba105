"""A process that keeps the plugin warm: a plugin executable asks it for a provider server, over a Unix socket.

    python -m local.provider.host --socket PATH     serves until it is ended
    python -m local.provider.host --serve           is one provider server itself (no host runs)

The conversation: the executable sends one JSON line, `{"environment": {...}, "folder": "..."}`; the host starts a server on a fresh
loopback port, answers `{"port": N}`, and ends the server when the executable's side closes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from local.provider.api import Clients, service_model
from local.provider.server import Provider

_THREADS = 24
_MAX_MESSAGE = 400 * 1024 * 1024  # the engine's own limit


def serve(environment: Mapping[str, str], folder: Path, clients: Clients) -> tuple[grpc.Server, int]:
    """Starts a provider server on a fresh loopback port."""
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="provider"), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(environment, folder, clients), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class Host:
    """Listens on a Unix socket and gives each caller a provider server of its own; clients are shared."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clients = Clients()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)

    def run(self) -> None:
        """Serves until `close`."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            line = stream.readline()
            if not line:
                return
            asked = json.loads(line)
            server, port = serve(asked["environment"], Path(asked["folder"]), self.clients)
            try:
                stream.write(json.dumps({"port": port}).encode() + b"\n")
                stream.flush()
                stream.read()
            except OSError:
                pass
            finally:
                server.stop(grace=0.2)

    def close(self) -> None:
        """Stops listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)


def warm() -> None:
    """Loads what nearly every program needs, so that the first preview does not wait for it."""
    from local.provider.resources import TABLE

    for service in sorted({kind.service for kind in TABLE.values()} | {"sts"}):
        service_model(service)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Keeps the local aws plugin warm.")
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.serve:
        server, port = serve(os.environ, Path.cwd(), Clients())
        print(port, flush=True)
        ended.wait()
        server.stop(grace=0.2).wait()
        return
    host = Host(options.socket)
    threading.Thread(target=host.run, daemon=True).start()
    threading.Thread(target=warm, daemon=True).start()
    ended.wait()
    host.close()


if __name__ == "__main__":
    main()
