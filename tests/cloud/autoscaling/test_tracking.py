"""Target tracking as a pure decision."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.cloud.autoscaling.tracking import Policy, Situation, decide

POLICY = Policy(10.0, 60.0, 300.0)


def situation(**changes: Any) -> Situation:
    return Situation(**({"now": 1000.0, "current": 2, "minimum": 1, "maximum": 5, "metric": 10.0, "high": False, "low": False} | changes))


def test_nothing_happens_without_an_alarm() -> None:
    assert decide(POLICY, situation(metric=500.0)) == 2


def test_scales_out_in_proportion_and_not_beyond_the_maximum() -> None:
    assert decide(POLICY, situation(metric=15.0, high=True)) == 3
    assert decide(POLICY, situation(metric=500.0, high=True)) == 5


def test_scales_in_not_below_the_minimum() -> None:
    assert decide(POLICY, situation(current=4, metric=3.0, low=True)) == 2
    assert decide(POLICY, situation(current=4, metric=0.1, low=True, minimum=2)) == 2


def test_a_cooldown_holds() -> None:
    assert decide(POLICY, situation(metric=50.0, high=True, last_out=950.0)) == 2
    assert decide(POLICY, situation(metric=50.0, high=True, last_out=940.0)) == 5
    assert decide(POLICY, situation(metric=1.0, low=True, last_in=800.0)) == 2


def test_a_recent_scale_out_holds_back_a_scale_in() -> None:
    assert decide(POLICY, situation(metric=1.0, low=True, last_out=900.0)) == 2


def test_scale_in_can_be_switched_off() -> None:
    assert decide(Policy(10.0, scale_in=False), situation(metric=0.0, low=True)) == 2


def test_a_count_outside_the_bounds_is_brought_back() -> None:
    assert decide(POLICY, situation(current=9)) == 5
    assert decide(POLICY, situation(current=1, minimum=3)) == 3


@given(st.integers(0, 9), st.integers(0, 4), st.integers(4, 9), st.floats(0, 1e4), st.booleans(), st.booleans())
def test_the_result_is_within_the_bounds(current: int, minimum: int, maximum: int, metric: float, high: bool, low: bool) -> None:
    found = decide(POLICY, situation(current=current, minimum=minimum, maximum=maximum, metric=metric, high=high, low=low))
    assert minimum <= found <= maximum
