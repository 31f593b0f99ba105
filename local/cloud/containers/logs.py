"""Output of containers, to CloudWatch Logs and to files under the cloud's home."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

BATCH_EVENTS = 1000
BATCH_BYTES = 900_000  # of 1,048,576 that PutLogEvents takes
LINGER = 0.1  # real seconds that a batch waits for more lines


class LogsClient(Protocol):
    """What is used of the CloudWatch Logs API."""

    def create_log_group(self, **arguments: Any) -> Any: ...
    def create_log_stream(self, **arguments: Any) -> Any: ...
    def put_log_events(self, **arguments: Any) -> Any: ...


class LogStream:
    """One log stream; call it with a line. Lines reach CloudWatch Logs in order, within about a tenth of a second."""

    def __init__(self, client: LogsClient, group: str, name: str, path: Path, shipper: LogShipper) -> None:
        self.group = group
        self.name = name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._client = client
        self._shipper = shipper
        self._lines: list[tuple[int, str]] = []
        self._guard = threading.Lock()
        self._sending = threading.Lock()
        self._made = False
        self._refused = False

    def __call__(self, line: str) -> None:
        with self._guard:
            if not self._file.closed:
                self._file.write(line + "\n")
                self._file.flush()
            self._lines.append((int(self._shipper.now() * 1000), line))
        self._shipper.pending.set()

    def flush(self) -> None:
        """Send what has gathered. A refusal is logged and no more: output of a job is not worth the job's failure. Where the role may not
        write logs there are none, as on AWS.
        """
        with self._sending:
            while (batch := self._take()) and not self._shipper.closed.is_set() and not self._refused:
                try:
                    self._make()
                    events = [{"timestamp": stamp, "message": line or " "} for stamp, line in batch]
                    self._client.put_log_events(logGroupName=self.group, logStreamName=self.name, logEvents=events)
                except ClientError as error:
                    self._refused = error.response["Error"]["Code"] == "AccessDeniedException"
                    log.warning("output of %s %s did not reach CloudWatch Logs: %s", self.group, self.name, error)
                except Exception:
                    log.exception("%d lines of %s %s did not reach CloudWatch Logs", len(batch), self.group, self.name)

    def close(self) -> None:
        """Send the rest."""
        self.flush()
        with self._guard:
            self._file.close()

    def _take(self) -> list[tuple[int, str]]:
        with self._guard:
            size = count = 0
            for count, (_, line) in enumerate(self._lines[:BATCH_EVENTS], start=1):
                size += len(line.encode()) + 26
                if size > BATCH_BYTES:
                    count -= 1
                    break
            batch, self._lines = self._lines[:count], self._lines[count:]
        return batch

    def _make(self) -> None:
        if self._made:
            return
        for create, arguments in (
            (self._client.create_log_group, {"logGroupName": self.group}),
            (self._client.create_log_stream, {"logGroupName": self.group, "logStreamName": self.name}),
        ):
            try:
                create(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise
        self._made = True


class LogShipper:
    """Sends the lines of all streams, from one thread, that sleeps while there are none."""

    def __init__(self, folder: Path, client: Callable[[str, str, str | None], LogsClient], now: Callable[[], float]) -> None:
        """`client(account, region, role)` gives a CloudWatch Logs client with the rights of a role (None: of the account); `now()` the
        cloud's time, seconds since the epoch.
        """
        self.folder = folder
        self._client = client
        self.now = now
        self._streams: list[LogStream] = []
        self._guard = threading.Lock()
        self.pending = threading.Event()
        self.closed = threading.Event()
        self._thread: threading.Thread | None = None

    def stream(self, account: str, region: str, group: str, name: str, role_arn: str | None) -> LogStream:
        path = self.folder / account / group.strip("/") / f"{name}.log"
        stream = LogStream(self._client(account, region, role_arn), group, name, path, self)
        with self._guard:
            self._streams.append(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)
                self._thread.start()
        return stream

    def finish(self, stream: LogStream) -> None:
        """Send the rest of a stream and forget it."""
        with contextlib.suppress(ValueError), self._guard:
            self._streams.remove(stream)
        stream.close()

    def close(self) -> None:
        self.closed.set()
        self.pending.set()

    def _run(self) -> None:
        while not self.closed.is_set():
            self.pending.wait()
            self.closed.wait(LINGER)
            self.pending.clear()
            with self._guard:
                streams = list(self._streams)
            for stream in streams:
                stream.flush()
