"""What has been measured: one store for all accounts, aggregated on arrival, safe for many threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .statistics import Aggregate, merged

Dimensions = tuple[tuple[str, str], ...]

MINUTE = 60
RETENTION_SECONDS = 15 * 86400
"""CloudWatch keeps one-minute data for 15 days."""

SECONDS_KEPT = 3 * 3600
"""CloudWatch keeps data of a resolution below a minute for three hours."""


@dataclass(frozen=True)
class MetricName:
    """A metric's identity within one account and region."""

    namespace: str
    name: str
    dimensions: Dimensions

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricName:
        """Identity with the dimensions in a canonical order."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


@dataclass
class _Series:
    """What was measured of one metric in one unit."""

    minutes: dict[int, Aggregate] = field(default_factory=dict)
    seconds: dict[int, Aggregate] = field(default_factory=dict)
    order: deque[int] = field(default_factory=deque)


class MetricStore:
    """Metrics of one account and region. Times are epoch seconds of the cloud's clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[MetricName, dict[str, _Series]] = {}

    def put(
        self, metric: MetricName, value: float, timestamp: float, unit: str = "None", *, count: float = 1.0, high_resolution: bool = False
    ) -> None:
        """Adds `count` observations of a value at a time."""
        with self._lock:
            self._bucket(metric, timestamp, unit, high_resolution).add(value, count)

    def put_set(
        self,
        metric: MetricName,
        count: float,
        total: float,
        minimum: float,
        maximum: float,
        timestamp: float,
        unit: str = "None",
        *,
        high_resolution: bool = False,
    ) -> None:
        """Adds a statistic set (`StatisticValues` of PutMetricData)."""
        with self._lock:
            self._bucket(metric, timestamp, unit, high_resolution).add_set(count, total, minimum, maximum)

    def read(self, metric: MetricName, start: float, end: float, unit: str | None = None) -> Aggregate | None:
        """All observations with start <= time < end, or None; those of one unit alone where it is given: nothing is converted. Start and
        end are multiples of the resolution."""
        with self._lock:
            return merged(part for one in self._of(metric, unit) for part in self._parts(one, start, end))

    def units(self, metric: MetricName) -> list[str]:
        """The units that the metric was put with."""
        with self._lock:
            return list(self._series.get(metric, ()))

    def metrics(self) -> list[MetricName]:
        """All metrics that have data, in order of their first arrival."""
        with self._lock:
            return list(self._series)

    def _bucket(self, metric: MetricName, timestamp: float, unit: str, high_resolution: bool) -> Aggregate:
        series = self._series.setdefault(metric, {}).setdefault(unit, _Series())
        if high_resolution:
            while len(series.seconds) > SECONDS_KEPT:
                del series.seconds[next(iter(series.seconds))]
            return series.seconds.setdefault(int(timestamp), Aggregate())
        start = int(timestamp // MINUTE) * MINUTE
        bucket = series.minutes.get(start)
        if bucket is None:
            bucket = series.minutes[start] = Aggregate()
            series.order.append(start)
            while series.order and series.order[0] < start - RETENTION_SECONDS:
                series.minutes.pop(series.order.popleft(), None)
        return bucket

    def _of(self, metric: MetricName, unit: str | None) -> list[_Series]:
        units = self._series.get(metric, {})
        return [series for name, series in units.items() if unit in (None, name)]

    @staticmethod
    def _parts(series: _Series, start: float, end: float) -> Iterator[Aggregate]:
        if end - start <= MINUTE * (len(series.minutes) + 1):
            first = int(-(-start // MINUTE)) * MINUTE
            for moment in range(first, int(-(-end // 1)), MINUTE):
                if moment < end and moment in series.minutes:
                    yield series.minutes[moment]
        else:
            for moment, bucket in series.minutes.items():
                if start <= moment < end:
                    yield bucket
        for moment, bucket in series.seconds.items():
            if start <= moment < end:
                yield bucket
