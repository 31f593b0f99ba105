"""Gates: what passes is within its limit, and nothing else ever passes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import ConfigError
from pipelines.gates import GateFile, Verdict, judge, parse_gates

ROOT = Path(__file__).parents[2]
GATES = parse_gates((ROOT / "workloads/mortgage/gates.yaml").read_text(encoding="utf-8"), "gates.yaml")
GOOD = {
    "count": 749,
    "auc": 0.86,
    "accuracy": 0.9,
    "f1": 0.55,
    "brier": 0.08,
    "ece": 0.03,
    "equal_opportunity_difference": 0.08,
    "worst_slice_accuracy": 0.77,
    "latency_p95_ms": 5.0,
}
MEASURED = sorted({gate.metric for gate in GATES.gates})
NOT_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, None, "0.9", True, [0.9]])


def by_name(verdict: Verdict) -> dict[str, str]:
    return {result.name: result.status for result in verdict.results}


def test_a_good_candidate_passes_and_relative_gates_wait_for_the_first_champion() -> None:
    verdict = judge(GATES, GOOD, None)
    assert verdict.passed
    assert verdict.summary == "7 passed and 3 not applicable"
    assert judge(GATES, GOOD, GOOD).summary == "10 passed"


@given(metric=st.sampled_from(MEASURED), value=NOT_NUMBERS)
def test_a_metric_that_is_no_finite_number_refuses(metric: str, value: object) -> None:
    assert not judge(GATES, {**GOOD, metric: value}, None).passed
    assert not judge(GATES, {name: number for name, number in GOOD.items() if name != metric}, None).passed


@given(metric=st.sampled_from(sorted({gate.metric for gate in GATES.gates if gate.kind == "relative"})), value=NOT_NUMBERS)
def test_a_champion_without_its_metric_refuses(metric: str, value: object) -> None:
    assert not judge(GATES, GOOD, {**GOOD, metric: value}).passed
    assert not judge(GATES, GOOD, {}).passed


@given(value=st.floats(0, 1), limit=st.floats(0, 1), margin=st.floats(0, 0.5))
def test_the_limits_are_inclusive_and_the_margin_is_what_is_missing(value: float, limit: float, margin: float) -> None:
    gates = GateFile.model_validate(
        {
            "gates": [
                {"name": "low", "metric": "auc", "kind": "absolute", "minimum": limit},
                {"name": "high", "metric": "ece", "kind": "absolute", "maximum": limit},
                {"name": "near", "metric": "auc", "kind": "relative", "direction": "higher", "margin": margin},
                {"name": "far", "metric": "ece", "kind": "relative", "direction": "lower", "margin": margin},
            ]
        }
    )
    found = by_name(judge(gates, {"auc": value, "ece": value}, {"auc": limit, "ece": limit}))
    assert (found["low"] == "passed") == (value >= limit)
    assert (found["high"] == "passed") == (value <= limit)
    assert (found["near"] == "passed") == (value >= limit - margin)
    assert (found["far"] == "passed") == (value <= limit + margin)


def test_the_summary_says_which_gate_and_by_how_much() -> None:
    verdict = judge(GATES, {**GOOD, "equal_opportunity_difference": 0.21}, None)
    assert not verdict.passed
    assert verdict.summary == "fairness: equal_opportunity_difference 0.21 > 0.1 by 0.11"
    against = judge(GATES, {**GOOD, "auc": 0.81}, {**GOOD, "auc": 0.88})
    assert against.summary == "ranking-against-champion: auc 0.81 < 0.86 by 0.05 (champion 0.88, margin 0.02)"


def test_an_unknown_metric_refuses() -> None:
    gates = GateFile.model_validate(
        {"gates": [*GATES.model_dump()["gates"], {"name": "odd", "metric": "accurracy", "kind": "absolute", "minimum": 0}]}
    )
    verdict = judge(gates, {**GOOD, "accurracy": 1.0}, None)
    assert not verdict.passed
    assert verdict.summary == "odd: accurracy is no known metric; did you mean accuracy?"


@pytest.mark.parametrize("metric", ["auc", "equal_opportunity_difference", "latency_p95_ms"])
def test_a_gate_file_can_not_leave_out_what_every_candidate_answers_for(metric: str) -> None:
    fewer = GateFile(gates=tuple(gate for gate in GATES.gates if gate.metric != metric))
    verdict = judge(fewer, GOOD, GOOD)
    assert not verdict.passed
    assert f"{metric}: no absolute gate covers it" in verdict.summary


def test_no_comparison_with_the_champion_refuses() -> None:
    absolute = GateFile(gates=tuple(gate for gate in GATES.gates if gate.kind == "absolute"))
    assert judge(absolute, GOOD, GOOD).summary == "no gate compares the candidate with the champion"


def test_an_environment_can_be_stricter_by_the_gates_name() -> None:
    assert not judge(GATES, GOOD, None, {"fairness": 0.05}).passed
    assert judge(GATES, {**GOOD, "latency_p95_ms": 150.0}, None, {"latency": 200.0}).passed
    misspelt = judge(GATES, GOOD, None, {"fairnes": 0.05})
    assert misspelt.summary == "fairnes: the environment sets a threshold for a gate that does not exist"
    assert not judge(GATES, GOOD, None, {"fairness": math.nan}).passed


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"name": "x", "metric": "auc", "kind": "absolute"}, "either minimum or maximum"),
        ({"name": "x", "metric": "unknown", "kind": "absolute", "minimum": 0, "maximum": 1}, "either minimum or maximum"),
        ({"name": "x", "metric": "auc", "kind": "relative", "margin": 0.1}, "margin and direction"),
        ({"name": "x", "metric": "auc", "kind": "absolute", "minimum": float("nan")}, "must be finite"),
        ({"name": "x", "metric": "auc", "kind": "absolute", "minimum": 0, "minimun": 1}, "minimun"),
        ({"name": "x", "metric": "auc", "kind": "absolute", "maximum": 1}, "gates.0.maximum: auc is better the higher it is"),
        (
            {"name": "x", "metric": "equal_opportunity_difference", "kind": "absolute", "minimum": 0},
            "gates.0.minimum: equal_opportunity_difference is better the lower it is",
        ),
        (
            {"name": "x", "metric": "latency_p95_ms", "kind": "absolute", "minimum": 0},
            "gates.0.minimum: latency_p95_ms is better the lower",
        ),
        ({"name": "x", "metric": "auc", "kind": "relative", "margin": 1, "direction": "lower"}, "gates.0.direction: auc is better the"),
        ({"name": "x", "metric": "count", "kind": "relative", "margin": 1, "direction": "higher"}, "their count compares nothing"),
    ],
)
def test_a_wrong_gate_file_is_refused_with_its_place(gate: dict[str, object], says: str) -> None:
    import yaml

    with pytest.raises(ConfigError, match=says) as caught:
        parse_gates(yaml.safe_dump({"gates": [gate]}), "workloads/x/gates.yaml")
    assert caught.value.where == "workloads/x/gates.yaml"
    assert caught.value.exit_code == 2
