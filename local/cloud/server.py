"""The process of the embedded cloud: in this process for tests (`running`), or as a daemon (`python -m local.cloud.server`)."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.iam.models import iam_backends

from local.cloud import context, governor
from local.cloud.admin import admin_pages
from local.cloud.clock import Clock
from local.cloud.context import Cloud
from local.cloud.dispatch.app import Application
from local.cloud.http import Server
from local.errors import LocalError

log = logging.getLogger("local.cloud")

# Rooms that put something into a starting cloud by a function `install(cloud)`.
ROOMS = (
    "local.cloud.iam.guards",
    "local.cloud.ecr.blobs",
    "local.cloud.events.bus",
    "local.cloud.cloudwatch",
    "local.cloud.autoscaling",
    "local.cloud.endpoints",
)


@contextlib.contextmanager
def running(home: Path, speed: float = 1.0, offset: float = 0.0, port: int = 0, enforce_iam: bool = False) -> Iterator[Cloud]:
    """A cloud in this process on a free port, empty at the start and gone at the end. One at a time: moto's state is the process's."""
    cloud, server = _start(home, speed, offset, port, enforce_iam)
    try:
        yield cloud
    finally:
        _stop(cloud, server)


def _start(home: Path, speed: float, offset: float, port: int, enforce_iam: bool) -> tuple[Cloud, Server]:
    if context._running is not None:
        raise LocalError(
            "an embedded cloud runs in this process already",
            where="local.cloud.server",
            remedy="leave the first one before starting another",
        )
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    home.mkdir(parents=True, exist_ok=True)
    _forget_everything()
    cloud = Cloud(home, Clock(speed, offset), enforce_iam)
    application = Application(cloud)
    server = Server(application, port, date=lambda: format_datetime(cloud.clock.now(), usegmt=True))
    cloud.url = f"http://127.0.0.1:{server.port}"
    context.set_current(cloud)
    try:
        application.admin.update(admin_pages(cloud))
        for room in ROOMS:
            importlib.import_module(room).install(cloud)
    except BaseException:
        _stop(cloud, server)
        raise
    governor.start(cloud.clock, cloud.closing)
    server.start()
    return cloud, server


def _stop(cloud: Cloud, server: Server) -> None:
    try:
        server.close()
        cloud.close()
    finally:
        context.set_current(None)
        _forget_everything()


def _forget_everything() -> None:
    # Forgetting runs each backend's constructor before it drops the backend, and IAM's reads AWS's 1,500 policies.
    iam_backends.clear()
    BackendDict.reset()
    reset_model_data()


def main(arguments: list[str] | None = None) -> int:
    """Run a cloud until SIGTERM or SIGINT. Writes state.json when it listens, removes it when it stops."""
    parser = argparse.ArgumentParser(prog="python -m local.cloud.server", description="The embedded cloud.")
    parser.add_argument("--home", type=Path, required=True, help="folder for state.json, cloud.log and working files")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--speed", type=float, default=1.0, help="cloud seconds a real second")
    parser.add_argument("--clock-offset", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--enforce-iam", action="store_true", help="evaluate the policies of roles and users on every call")
    options = parser.parse_args(arguments)
    home: Path = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=home / "cloud.log", level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        with running(home, options.speed, options.clock_offset, options.port, options.enforce_iam) as cloud:
            socket_path = _provider_host(cloud)
            state = {
                "pid": os.getpid(),
                "port": int(cloud.url.rsplit(":", 1)[1]),
                "url": cloud.url,
                "started": cloud.clock.now().isoformat(),
                "provider_socket": str(socket_path),
            }
            _write(home / "state.json", json.dumps(state, indent=2) + "\n")
            log.info("listening on %s", cloud.url)
            try:
                ended.wait()
            finally:
                (home / "state.json").unlink(missing_ok=True)
                log.info("stopping")
    except LocalError as error:
        log.error("%s", error)
        print(error, file=sys.stderr)
        return 1
    return 0


def _provider_host(cloud: Cloud) -> Path:
    """Start the host of the Pulumi plugins, which saves each Pulumi run the seconds of its imports; it loads on its own time."""
    # A Unix socket's path may be no longer than about 100 bytes, and a checkout may lie deep.
    folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
    path = folder / "provider.sock"
    cloud.processes.spawn(
        [sys.executable, "-m", "local.provider.host", "--socket", str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))},
        cwd=Path(__file__).parents[2],
        log_path=cloud.home / "provider.log",
    )

    def remove() -> None:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    cloud.shutdown_hooks.append(remove)
    return path


def _write(path: Path, text: str) -> None:
    """Write so that a reader sees all of it or nothing."""
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text)
    scratch.replace(path)


if __name__ == "__main__":
    sys.exit(main())
