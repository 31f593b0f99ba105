"""Statistics and metric math."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.cloudwatch.expressions import ExpressionError, compute, names
from local.cloud.cloudwatch.statistics import Aggregate, statistic

SERIES = {"m1": {0: 2.0, 60: 4.0, 120: 6.0}, "m2": {0: 4.0, 60: 0.0}}
TIMES = [0, 60, 120]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 + 1", {0: 3.0, 60: 5.0, 120: 7.0}),
        ("m1 / m2", {0: 0.5}),
        ("100 * m1 / (m1 + m2)", {0: pytest.approx(33.333, abs=0.001), 60: 100.0}),
        ("IF(m2 > 0, m1 / m2, 0)", {0: 0.5, 60: 0.0}),
        ("FILL(m2, 7)", {0: 4.0, 60: 0.0, 120: 7.0}),
        ("FILL(m2, REPEAT)", {0: 4.0, 60: 0.0, 120: 0.0}),
        ("SUM(METRICS())", {0: 6.0, 60: 4.0, 120: 6.0}),
        ("MAX([m1, m2])", {0: 4.0, 60: 4.0, 120: 6.0}),
        ("-m1", {0: -2.0, 60: -4.0, 120: -6.0}),
        ("m1 > 3 AND m2 == 0", {0: 0.0, 60: 1.0}),
        ("m1 ^ 2000", {}),
        ("(0 - m1) ^ 0.5", {}),
        ("2 ^ 3 - m1 * 0", {0: 8.0, 60: 8.0, 120: 8.0}),
    ],
)
def test_expressions(expression: str, expected: dict[int, float]) -> None:
    assert compute(expression, SERIES, TIMES) == expected


@pytest.mark.parametrize("expression", ["m1 +", "(m1", "m1 m2", "ANOMALY_DETECTION_BAND(m1)", "m3", "m1 $ 2", "(" * 900 + "m1" + ")" * 900])
def test_what_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compute(expression, SERIES, TIMES)


def test_the_names_of_an_expression() -> None:
    assert names("IF(m2 > 0, errors / m2, 0)") == {"m2", "errors"}


def test_statistics_of_an_aggregate() -> None:
    aggregate = Aggregate()
    for value in range(1, 101):
        aggregate.add(float(value))
    found = {n: statistic(aggregate, n) for n in ("SampleCount", "Sum", "Average", "Minimum", "Maximum", "p50", "p99", "p100")}
    assert found == {"SampleCount": 100, "Sum": 5050, "Average": 50.5, "Minimum": 1, "Maximum": 100, "p50": 50, "p99": 99, "p100": 100}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_merging_is_the_same_as_adding(left: list[float], right: list[float]) -> None:
    one, two, both = Aggregate(), Aggregate(), Aggregate()
    for value in left:
        one.add(value)
        both.add(value)
    for value in right:
        two.add(value)
        both.add(value)
    one.merge(two)
    for name in ("SampleCount", "Minimum", "Maximum", "p90"):
        assert statistic(one, name) == statistic(both, name)
    assert statistic(one, "Sum") == pytest.approx(statistic(both, "Sum"), abs=1e-3)
