"""AWS in memory, whose answers get lost, are refused for the moment, or are old: one fault at a chosen call, or at several.

The SDK's own attempts are spent by then: what arrives here is what a promotion sees after them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from tests.promotion.fake import FakeAws
from tests.promotion.world import World, failure

WRITES = ("_put_item", "update_endpoint", "create_model", "delete_model", "create_endpoint_config", "delete_endpoint_config")
WRITES += ("put_alarm", "delete_alarms", "put_metric", "set_package_stage", "void_approval", "write_object_once")
READS = tuple(name for name in vars(FakeAws) if name[0] != "_" and name not in (*WRITES, "sleep", "invoke"))
EVENTUAL = frozenset({"endpoint", "model", "endpoint_config", "models", "endpoint_configs", "alarms", "alarm_names", "metric_sum"})
"""Reads that promise no order. DynamoDB is read consistently, and S3 is."""


class Fault(Enum):
    """What happens to a call."""

    RESET = "the connection ends before it is heard"
    THROTTLED = "it is refused for the moment"
    BROKEN = "the service fails before it does anything"
    LOST = "it is done and the answer is lost"
    STALE = "it is answered as the same question was the last time"
    ANCIENT = "it is answered as the same question was the first time"


class FaultyAws(FakeAws):
    """Faults by the number of the call, from 1, or by a rule. `met` are the calls that had one."""

    def __init__(self, world: World, faults: dict[int, Fault] | Callable[[int, str], Fault | None]) -> None:
        super().__init__(world)
        self.rule = faults if callable(faults) else lambda number, call: faults.get(number)
        self.number = 0
        self.met: list[tuple[str, Fault]] = []
        self._answers: dict[str, list[Any]] = {}

    def _answered(self, call: str, ask: Callable[[], Any], question: str) -> Any:
        self.number += 1
        fault = self.rule(self.number, call)
        answers = self._answers.setdefault(question, [])
        if fault is None or (fault in (Fault.STALE, Fault.ANCIENT) and not answers):
            answer = ask()
            if call in EVENTUAL:
                answers.append(answer)
            return answer
        self.met.append((call, fault))
        if fault in (Fault.STALE, Fault.ANCIENT):
            self._done(call)
            return answers[-1 if fault is Fault.STALE else 0]
        if fault is Fault.LOST:
            ask()
        if fault in (Fault.RESET, Fault.LOST):
            raise ConnectionClosedError(endpoint_url="https://service.test")
        raise _refusal(call, "ThrottlingException" if fault is Fault.THROTTLED else "InternalFailure", fault is Fault.BROKEN)


def _refusal(call: str, name: str, broken: bool) -> ClientError:
    error = failure(call, "Rate exceeded", name)
    error.response["ResponseMetadata"] = {"HTTPStatusCode": 500 if broken else 400, "RetryAttempts": 4}  # type: ignore[typeddict-item]
    return error


def _faulty(name: str) -> Callable[..., Any]:
    plain = getattr(FakeAws, name)

    def method(self: FaultyAws, *args: Any, **kwargs: Any) -> Any:
        return self._answered(name, lambda: plain(self, *args, **kwargs), f"{name} {args}")

    return method


for _name in READS + WRITES:
    setattr(FaultyAws, _name, _faulty(_name))
