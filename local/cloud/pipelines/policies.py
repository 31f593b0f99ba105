"""What a step may carry beside its arguments: how it is retried, and whether an earlier result may stand in for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.cloud.sagemaker.base import validation

EXCEPTIONS = frozenset(
    {"Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"}
)
ALWAYS_RETRIED = ("Step.SERVICE_FAULT", "Step.THROTTLING")
DURATION = re.compile(
    r"P(?=.)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


@dataclass(frozen=True)
class RetryPolicy:
    """Which failures are tried again, how often, and how long after (seconds of the cloud's clock)."""

    exceptions: tuple[str, ...]
    interval: float
    backoff: float
    attempts: int | None
    expire_after: float | None

    @classmethod
    def parse(cls, step: str, raw: Mapping[str, Any]) -> RetryPolicy:
        given = raw.get("ExceptionType") or ()
        kinds = tuple(map(str, given if isinstance(given, list) else (given,)))
        unknown = sorted(set(kinds) - EXCEPTIONS)
        if not kinds or unknown:
            raise _wrong(step, f"ExceptionType {', '.join(unknown) or 'is missing'}")
        if "MaxAttempts" in raw and "ExpireAfterMin" in raw:
            raise _wrong(step, "MaxAttempts and ExpireAfterMin exclude each other")
        attempts, minutes = raw.get("MaxAttempts"), raw.get("ExpireAfterMin")
        if attempts is None and minutes is None:
            attempts = 5
        for name, value, limit in (
            ("MaxAttempts", attempts, 20),
            ("ExpireAfterMin", minutes, 14400),
            ("IntervalSeconds", raw.get("IntervalSeconds", 1), 43200),
        ):
            if value is not None and not (_is_number(value) and 1 <= value <= limit):
                raise _wrong(step, f"{name} must lie between 1 and {limit}")
        if not _is_number(raw.get("BackoffRate", 2.0)):
            raise _wrong(step, "BackoffRate must be a number")
        expire = minutes * 60.0 if minutes is not None else None
        return cls(kinds, float(raw.get("IntervalSeconds", 1)), float(raw.get("BackoffRate", 2.0)), attempts, expire)

    def delay(self, attempt: int, waited: float) -> float | None:
        """Seconds to wait before trying again after attempt number `attempt` (from 1); None where enough has been tried."""
        delay = self.interval * self.backoff ** (attempt - 1)
        if self.attempts is not None and attempt > self.attempts:
            return None
        if self.expire_after is not None and waited + delay > self.expire_after:
            return None
        return delay


@dataclass(frozen=True)
class Cache:
    """That a step may be answered by an earlier run of it, not older than `expire_after` (None: of any age)."""

    expire_after: timedelta | None

    @classmethod
    def parse(cls, step: str, raw: Mapping[str, Any] | None) -> Cache | None:
        if raw is not None and not isinstance(raw, Mapping):
            raise _wrong(step, "CacheConfig must be an object")
        if not raw or not raw.get("Enabled"):
            return None
        text = raw.get("ExpireAfter")
        if not text:
            return cls(None)
        match = DURATION.fullmatch(str(text).upper())
        if match is None:
            raise _wrong(step, f"ExpireAfter {text!r} of CacheConfig is no ISO 8601 duration")
        parts = {name: int(value) for name, value in match.groupdict(default="0").items()}
        days = parts["years"] * 365 + parts["months"] * 30 + parts["weeks"] * 7 + parts["days"]
        return cls(timedelta(days=days, hours=parts["hours"], minutes=parts["minutes"], seconds=parts["seconds"]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(step: str, reason: str) -> Exception:
    return validation(f"Unable to parse pipeline definition. The step {step}: {reason}.")
