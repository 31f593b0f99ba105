"""Pure: aggregates of observations and the statistics CloudWatch reads from them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

PLAIN = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
"""The values that the `Statistic` fields of CloudWatch accept [botocore: cloudwatch Statistic]."""

_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d{1,10})?|100)$")


class Aggregate:
    """Observations of one metric in one period: sum, count, extremes, and the values with their counts for percentiles.

    Statistic sets that were put without values (`StatisticValues`) count in everything but percentiles, as in CloudWatch.
    """

    __slots__ = ("count", "maximum", "minimum", "total", "values")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf
        self.values: dict[float, float] = {}

    def add(self, value: float, count: float = 1.0) -> None:
        """Adds `count` observations of the same value."""
        self.count += count
        self.total += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.values[value] = self.values.get(value, 0.0) + count

    def add_set(self, count: float, total: float, minimum: float, maximum: float) -> None:
        """Adds a statistic set whose single values are not known."""
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        if minimum == maximum and count:
            self.values[minimum] = self.values.get(minimum, 0.0) + count

    def merge(self, other: Aggregate) -> None:
        """Adds all that another aggregate holds."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        for value, count in other.values.items():
            self.values[value] = self.values.get(value, 0.0) + count


def merged(parts: Iterable[Aggregate]) -> Aggregate | None:
    """One aggregate of many; None when there is nothing to add up."""
    result: Aggregate | None = None
    for part in parts:
        result = result or Aggregate()
        result.merge(part)
    return result if result and result.count else None


def is_statistic(name: str) -> bool:
    """Whether CloudWatch (as far as this cloud goes) knows the statistic: the plain ones and percentiles such as p99 or p99.9."""
    return name in PLAIN or bool(_PERCENTILE.match(name))


def is_percentile(name: str) -> bool:
    """Whether the name is one that `ExtendedStatistic` accepts."""
    return bool(_PERCENTILE.match(name))


def statistic(aggregate: Aggregate, name: str) -> float | None:
    """The value of a statistic; None for a percentile of data that came as statistic sets."""
    if name == "SampleCount":
        return aggregate.count
    if name == "Sum":
        return aggregate.total
    if name == "Average":
        return aggregate.total / aggregate.count
    if name == "Minimum":
        return aggregate.minimum
    if name == "Maximum":
        return aggregate.maximum
    match = _PERCENTILE.match(name)
    if not match:
        raise ValueError(f"unknown statistic {name}")
    return _percentile(aggregate.values, float(match.group(1)) / 100.0)


def _percentile(values: dict[float, float], share: float) -> float | None:
    count = sum(values.values())
    if not count:
        return None
    rank = max(1.0, math.ceil(share * count - 1e-9))
    seen = 0.0
    last = 0.0
    for last in sorted(values):
        seen += values[last]
        if seen >= rank:
            return last
    return last
