"""A steady, bounded load on one endpoint, and an honest count of what came back."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answered request: whether it succeeded, else the error's code."""

    ok: bool
    request: int
    error: str = ""


@dataclass(kw_only=True)
class Tally:
    """What a load got back. Requests are counted once each; nothing is retried."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return len(self.answers)

    @property
    def failed(self) -> int:
        return sum(not answer.ok for answer in self.answers)

    def errors(self) -> Counter[str]:
        return Counter(answer.error for answer in self.answers if not answer.ok)


class Traffic:
    """Sends `payloads` in turn to an endpoint at `rate` requests a second until the block ends, or `limit` requests were sent.

    Args:
        session: a boto3 session of the account that the endpoint lives in.
        endpoint: its name.
        payloads: request bodies, used round robin.
        content_type: of each body.
        rate: requests a second over all workers.
        workers: how many connections send.
        limit: an upper bound of requests, so that a forgotten load ends by itself.
    """

    def __init__(
        self,
        session: Any,
        endpoint: str,
        payloads: Sequence[bytes],
        *,
        content_type: str = "application/json",
        rate: float = 50.0,
        workers: int = 8,
        limit: int = 60_000,
    ) -> None:
        if not payloads:
            raise ValueError("a load needs at least one payload")
        self.tally = Tally()
        self._endpoint = endpoint
        self._payloads = payloads
        self._content_type = content_type
        self._interval = 1.0 / rate
        self._limit = limit
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._start = 0.0
        self._client = session.client(
            "sagemaker-runtime",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=workers, read_timeout=65, connect_timeout=5),
        )
        self._threads = [threading.Thread(target=self._work, name=f"traffic-{index}", daemon=True) for index in range(workers)]

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self.finish()

    def finish(self) -> None:
        """Waits until all workers have ended: after `limit` requests, or when the block is left."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            if number >= self._limit:
                return
            due = self._start + number * self._interval
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            answer = self._send(number)
            with self._lock:
                self.tally.answers.append(answer)

    def _send(self, number: int) -> Answer:
        try:
            response = self._client.invoke_endpoint(
                EndpointName=self._endpoint, ContentType=self._content_type, Body=self._payloads[number % len(self._payloads)]
            )
            response["Body"].read()
        except ClientError as error:
            return Answer(ok=False, request=number, error=error.response.get("Error", {}).get("Code", "Unknown"))
        except BotoCoreError as error:
            return Answer(ok=False, request=number, error=type(error).__name__)
        return Answer(ok=True, request=number)
