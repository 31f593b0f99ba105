"""Metric alarms of one account and region: kept, and evaluated on the cloud's clock."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import expressions
from .evaluation import ALARM, INSUFFICIENT_DATA, OK, Rule, evaluate, reason
from .statistics import statistic
from .store import MetricName, MetricStore

log = logging.getLogger(__name__)

HISTORY_LENGTH = 200

UNSEEN = 60
"""Periods, beyond an alarm's range, that an evaluation goes back over at most."""


@dataclass(frozen=True)
class StateChange:
    """An alarm that went from one state to another, at a cloud time (epoch seconds)."""

    alarm: MetricAlarm
    state: str
    reason: str
    previous: str
    previous_reason: str
    previous_at: float
    at: float


@dataclass
class MetricAlarm:
    """An alarm as it was put (`given`: the request's members) and its present state."""

    arn: str
    given: dict[str, Any]
    configured_at: float
    state: str = INSUFFICIENT_DATA
    state_reason: str = "Unchecked: Initial alarm creation"
    state_reason_data: str | None = None
    state_at: float = 0.0
    evaluated_at: float | None = None
    history: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=HISTORY_LENGTH))

    @property
    def name(self) -> str:
        return str(self.given["AlarmName"])

    @property
    def rule(self) -> Rule:
        """The comparison to make."""
        periods = int(self.given["EvaluationPeriods"])
        return Rule(
            self.given["ComparisonOperator"],
            float(self.given["Threshold"]),
            periods,
            int(self.given.get("DatapointsToAlarm") or periods),
            self.given.get("TreatMissingData") or "missing",
        )

    @property
    def period(self) -> int:
        """Seconds that one point stands for."""
        if "Metrics" in self.given:
            periods = [q["MetricStat"]["Period"] for q in self.given["Metrics"] if "MetricStat" in q]
            periods += [q["Period"] for q in self.given["Metrics"] if q.get("Period")]
            return int(max(periods, default=60))
        return int(self.given["Period"])


def dimensions(given: Mapping[str, Any]) -> dict[str, str]:
    """The dimensions of a request's member as a mapping."""
    return {d["Name"]: d["Value"] for d in given.get("Dimensions") or []}


class Alarms:
    """The alarms of one account and region. `on_change` is called, outside the lock, for each change of state."""

    def __init__(self, store: MetricStore, time: Callable[[], float], on_change: Callable[[StateChange], None]) -> None:
        self._store = store
        self._time = time
        self._on_change = on_change
        self._lock = threading.RLock()
        self._evaluating = threading.RLock()
        self._alarms: dict[str, MetricAlarm] = {}

    def put(self, arn: str, given: dict[str, Any]) -> None:
        """Creates an alarm, INSUFFICIENT_DATA until evaluated, or replaces one's settings and keeps its state."""
        now = self._time()
        with self._lock:
            known = self._alarms.get(given["AlarmName"])
            alarm = known or MetricAlarm(arn, given, now, state_at=now)
            alarm.given, alarm.configured_at = given, now
            alarm.evaluated_at = None
            alarm.history.append(
                _history(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {"updated" if known else "created"}', {}, now)
            )
            self._alarms[alarm.name] = alarm

    def delete(self, names: list[str]) -> list[MetricAlarm]:
        """Removes alarms; gives those that were there."""
        with self._lock:
            return [self._alarms.pop(name) for name in names if name in self._alarms]

    def get(self, name: str) -> MetricAlarm | None:
        with self._lock:
            return self._alarms.get(name)

    def all(self) -> list[MetricAlarm]:
        """All alarms by name."""
        with self._lock:
            return [self._alarms[name] for name in sorted(self._alarms)]

    def set_state(self, alarm: MetricAlarm, state: str, why: str, data: str | None, at: float | None = None) -> None:
        """Moves an alarm (SetAlarmState, or an evaluation); the next evaluation may move it back."""
        now = self._time() if at is None else at
        with self._lock:
            if self._alarms.get(alarm.name) is not alarm:
                return
            change = StateChange(alarm, state, why, alarm.state, alarm.state_reason, alarm.state_at, now)
            alarm.state, alarm.state_reason, alarm.state_reason_data = state, why, data
            if state != change.previous:
                alarm.state_at = now
                summary = f"Alarm updated from {change.previous} to {state}"
                detail = {"oldState": {"stateValue": change.previous}, "newState": {"stateValue": state, "stateReason": why}}
                alarm.history.append(_history(alarm, "StateUpdate", summary, detail, now))
        if state != change.previous:
            self._on_change(change)

    def evaluate(self, names: Collection[str] | None = None) -> None:
        """Brings every alarm, or those of these names, to the state that its data give now.

        Time may have leapt, or run on while nobody evaluated: an alarm goes through the states that it would have had at the end of each
        of its periods since its last evaluation, so none that rang in between is missed.
        """
        with self._evaluating:
            now = self._time()
            for alarm in self.all():
                if names is None or alarm.name in names:
                    try:
                        for moment in _moments(alarm, now):
                            self._evaluate(alarm, moment)
                    except Exception:
                        log.exception("the alarm %s could not be evaluated", alarm.name)
                    alarm.evaluated_at = now

    def _evaluate(self, alarm: MetricAlarm, at: float) -> None:
        rule = alarm.rule
        verdict = evaluate(rule, self.points(alarm, at, rule.range))
        if verdict.state is not None and verdict.state != alarm.state:
            data = json.dumps(
                {
                    "version": "1.0",
                    "queryDate": _iso(at),
                    "period": alarm.period,
                    "recentDatapoints": list(verdict.points),
                    "threshold": rule.threshold,
                    "evaluatedDatapoints": [],
                }
            )
            self.set_state(alarm, verdict.state, reason(rule, verdict), data, at)

    def points(self, alarm: MetricAlarm, now: float, count: int) -> list[float | None]:
        """The values of the last `count` whole periods, oldest first; periods are aligned to their own length."""
        period = alarm.period
        end = int(now // period) * period
        times = [end - period * i for i in range(count, 0, -1)]
        if "Metrics" in alarm.given:
            series = query_series(self._store, alarm.given["Metrics"], times, period)
            chosen = next((q["Id"] for q in alarm.given["Metrics"] if q.get("ReturnData", True)), "")
            values = series.get(chosen, {})
            return [values.get(t) for t in times]
        metric = MetricName.of(alarm.given["Namespace"], alarm.given["MetricName"], dimensions(alarm.given))
        wanted = alarm.given.get("Statistic") or alarm.given["ExtendedStatistic"]
        return [_value(self._store, metric, t, period, wanted, alarm.given.get("Unit")) for t in times]


def query_series(store: MetricStore, queries: list[dict[str, Any]], times: list[int], period: int) -> dict[str, expressions.Series]:
    """The series of each query of a metric-math request, by id; expressions may refer to one another."""
    series: dict[str, expressions.Series] = {}
    for query in queries:
        stat = query.get("MetricStat")
        if stat:
            metric = MetricName.of(stat["Metric"]["Namespace"], stat["Metric"]["MetricName"], dimensions(stat["Metric"]))
            found = {t: _value(store, metric, t, period, stat["Stat"], stat.get("Unit")) for t in times}
            series[query["Id"]] = {t: v for t, v in found.items() if v is not None}
    pending = [q for q in queries if "MetricStat" not in q]
    base = dict(series)
    while pending:
        ready = [q for q in pending if expressions.names(q["Expression"]) <= series.keys()]
        if not ready:
            missing = set().union(*(expressions.names(q["Expression"]) for q in pending)) - series.keys()
            unknown = sorted(missing - {q["Id"] for q in pending})
            circle = ", ".join(q["Id"] for q in pending)
            raise expressions.ExpressionError(f"Undefined variable '{unknown[0]}'" if unknown else f"Circular dependency: {circle}")
        for query in ready:
            known = base if "METRICS" in query["Expression"] else series  # METRICS() means the request's metrics, not its expressions
            series[query["Id"]] = expressions.compute(query["Expression"], known, times)
            pending.remove(query)
    return series


def _value(store: MetricStore, metric: MetricName, start: float, period: int, wanted: str, unit: str | None) -> float | None:
    aggregate = store.read(metric, start, start + period, unit)
    return None if aggregate is None else statistic(aggregate, wanted)


def _moments(alarm: MetricAlarm, now: float) -> list[float]:
    """The ends of periods that have passed unseen since the last evaluation, and now. After a leap of time only the first can differ from
    now: nothing was measured in what was leapt over."""
    if alarm.evaluated_at is None:
        return [now]
    period, seen = alarm.period, max(alarm.evaluated_at, alarm.state_at)
    unseen = range((int(seen // period) + 1) * period, int(now), period)
    return [*map(float, unseen[: alarm.rule.range + UNSEEN]), now]


def _history(alarm: MetricAlarm, kind: str, summary: str, data: dict[str, Any], at: float) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name,
        "AlarmType": "MetricAlarm",
        "Timestamp": datetime.fromtimestamp(at, UTC),
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": json.dumps({"version": "1.0", "type": kind} | data),
    }


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


__all__ = ["ALARM", "INSUFFICIENT_DATA", "OK", "Alarms", "MetricAlarm", "StateChange", "dimensions", "query_series"]
