"""The plain metrics, held against scikit-learn on data that hypothesis makes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from pipelines import metrics

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=60)


@given(ROWS)
def test_ranking_and_decisions_agree_with_scikit_learn(rows: list[tuple[bool, float, bool]]) -> None:
    outcomes, scores, decisions = [list(column) for column in zip(*rows, strict=True)]
    assert metrics.accuracy(outcomes, decisions) == pytest.approx(reference.accuracy_score(outcomes, decisions))
    assert metrics.brier(outcomes, scores) == pytest.approx(reference.brier_score_loss(outcomes, scores, pos_label=True))
    if any(outcomes) and not all(outcomes):
        assert metrics.auc(outcomes, scores) == pytest.approx(reference.roc_auc_score(outcomes, scores))
    else:
        assert math.isnan(metrics.auc(outcomes, scores))
    if any(outcomes) or any(decisions):
        assert metrics.f1(outcomes, decisions) == pytest.approx(reference.f1_score(outcomes, decisions, zero_division=0))
    else:
        assert math.isnan(metrics.f1(outcomes, decisions))


@given(ROWS, st.sampled_from([math.nan, math.inf, -math.inf]), st.integers(0, 60))
def test_a_score_that_is_not_finite_leaves_no_metric_of_scores(rows: list[tuple[bool, float, bool]], odd: float, place: int) -> None:
    outcomes, scores, decisions = [list(column) for column in zip(*rows, strict=True)]
    scores[place % len(scores)] = odd
    for metric in (metrics.auc, metrics.brier, metrics.ece):
        assert math.isnan(metric(outcomes, scores))
    assert math.isnan(metrics.percentile(scores, 95))
    found = metrics.slices({"x": ["a"] * len(rows)}, outcomes, decisions, scores)
    assert math.isnan(found["x"]["a"]["auc"])


def test_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    # Two bins are filled: 0.2 with one of four positive (gap 0.05), 0.9 with both positive (gap 0.1).
    assert metrics.ece([True, False, False, False, True, True], [0.2] * 4 + [0.9] * 2) == pytest.approx((4 * 0.05 + 2 * 0.1) / 6)
    assert metrics.ece([True, False], [1.0, 0.0]) == 0
    assert math.isnan(metrics.ece([True], [1.5]))


ENOUGH = metrics.SMALLEST_SLICE


def test_equal_opportunity_compares_only_the_qualified() -> None:
    qualified = [True] * 4 * ENOUGH + [False]
    favoured = [True, False] * ENOUGH + [True] * 2 * ENOUGH + [False]
    member = [True] * 2 * ENOUGH + [False] * 2 * ENOUGH + [True]
    assert metrics.equal_opportunity_difference(qualified, favoured, member) == 0.5


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("rows", [0, 1, ENOUGH - 1])
def test_a_group_with_too_few_qualified_rows_is_no_evidence(group: bool, rows: int) -> None:
    """One qualified row that was favoured would otherwise be perfect fairness."""
    member = [group] * rows + [not group] * 100
    unqualified = [group] * 100
    qualified = [True] * len(member) + [False] * 100
    favoured = [True] * len(qualified)
    assert math.isnan(metrics.equal_opportunity_difference(qualified, favoured, member + unqualified))
    assert metrics.equal_opportunity_difference([True] * 130, [True] * 130, [group] * ENOUGH + [not group] * 100) == 0


def test_the_percentile_is_a_value_that_was_measured() -> None:
    assert metrics.percentile([float(n) for n in range(1, 101)], 95) == 95
    assert metrics.percentile([3.0], 95) == 3
    assert math.isnan(metrics.percentile([], 95))


def test_small_slices_do_not_decide_the_worst() -> None:
    values = ["a"] * 40 + ["b"]
    outcomes = [True] * 41
    found = metrics.slices({"x": values}, outcomes, [True] * 30 + [False] * 11, [0.5] * 41)
    assert found["x"]["b"]["accuracy"] == 0
    assert metrics.worst_slice_accuracy(found, ("x", "a")) == 0.75


@pytest.mark.parametrize("rows", [0, ENOUGH - 1])
def test_a_protected_slice_that_is_too_small_is_not_left_out(rows: int) -> None:
    values, total = ["no"] * 100 + ["yes"] * rows, 100 + rows
    found = metrics.slices({"group": values}, [True] * total, [True] * 100 + [False] * rows, [0.5] * total)
    assert math.isnan(metrics.worst_slice_accuracy(found, ("group", "yes")))
    assert metrics.worst_slice_accuracy(found, ("group", "no")) == 1
