"""Alarm states from data points: the two tables of the CloudWatch user guide, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.cloudwatch.evaluation import ALARM, INSUFFICIENT_DATA, OK, Rule, evaluate

KEEP = None
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

# Points as in the guide, oldest first: 0 not breaching, X breaching, - missing; then the state per treatment, in the order of TREATMENTS.
THREE_OF_THREE = [
    ("0 - X - X", (OK, OK, OK, OK)),
    ("- - - - 0", (OK, OK, OK, OK)),
    ("- - - - -", (INSUFFICIENT_DATA, KEEP, ALARM, OK)),
    ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("- - X - -", (ALARM, KEEP, ALARM, OK)),
]
TWO_OF_THREE = [
    ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 - X - -", (OK, OK, ALARM, OK)),
    ("- - - - 0", (OK, OK, ALARM, OK)),
    ("- - - - X", (ALARM, KEEP, ALARM, OK)),
]


def points(text: str) -> list[float | None]:
    return [{"0": 0.0, "X": 9.0, "-": None}[c] for c in text.split()]


@pytest.mark.parametrize(("datapoints", "table"), [(3, THREE_OF_THREE), (2, TWO_OF_THREE)])
@pytest.mark.parametrize("treatment", TREATMENTS)
def test_the_guides_tables(datapoints: int, table: list[tuple[str, tuple[str | None, ...]]], treatment: str) -> None:
    rule = Rule("GreaterThanThreshold", 5.0, 3, datapoints, treatment)
    found = {text: evaluate(rule, points(text)).state for text, _ in table}
    assert found == {text: states[TREATMENTS.index(treatment)] for text, states in table}


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 5.0, OK),
        ("GreaterThanOrEqualToThreshold", 5.0, ALARM),
        ("LessThanThreshold", 5.0, OK),
        ("LessThanOrEqualToThreshold", 5.0, ALARM),
    ],
)
def test_comparisons_at_the_threshold(comparison: str, value: float, state: str) -> None:
    assert evaluate(Rule(comparison, 5.0, 1, 1), [value]).state == state


series = st.lists(st.one_of(st.none(), st.floats(-10, 10)), min_size=1, max_size=8)


@given(series, st.integers(1, 5), st.data())
def test_without_missing_points_the_treatment_does_not_matter(values: list[float | None], periods: int, data: st.DataObject) -> None:
    full = [0.0 if v is None else v for v in values] * 5
    datapoints = data.draw(st.integers(1, periods))
    states = {evaluate(Rule("GreaterThanThreshold", 1.0, periods, datapoints, t), full).state for t in TREATMENTS}
    assert len(states) == 1


@given(series, st.integers(1, 5), st.data())
def test_breaching_is_never_calmer_than_not_breaching(values: list[float | None], periods: int, data: st.DataObject) -> None:
    datapoints = data.draw(st.integers(1, periods))
    calm = evaluate(Rule("GreaterThanThreshold", 1.0, periods, datapoints, "notBreaching"), values).state
    anxious = evaluate(Rule("GreaterThanThreshold", 1.0, periods, datapoints, "breaching"), values).state
    assert not (calm == ALARM and anxious == OK)
