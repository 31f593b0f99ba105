"""Metrics of a binary classifier, in plain Python: whatever library a workload uses, its metrics are these.

Undefined is NaN, never a number that a gate could accept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

BINS = 10
SMALLEST_SLICE = 30  # rows; what fewer of them show of a group is chance


def auc(outcomes: Sequence[bool], scores: Sequence[float]) -> float:
    """Area under the ROC curve by the rank sum, ties counted half. NaN unless both classes occur and every score is finite."""
    positives = sum(outcomes)
    negatives = len(outcomes) - positives
    if not positives or not negatives or not _finite(scores):
        return math.nan
    order = sorted(range(len(scores)), key=scores.__getitem__)
    rank_sum = 0.0
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        middle = (start + 1 + end) / 2
        rank_sum += middle * sum(outcomes[order[index]] for index in range(start, end))
        start = end
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def accuracy(outcomes: Sequence[bool], decisions: Sequence[bool]) -> float:
    """Share of decisions that are right. NaN for no rows."""
    return sum(a == b for a, b in zip(outcomes, decisions, strict=True)) / len(outcomes) if outcomes else math.nan


def f1(outcomes: Sequence[bool], decisions: Sequence[bool]) -> float:
    """Harmonic mean of precision and recall of the positive class. NaN if it neither occurs nor is said."""
    both = sum(a and b for a, b in zip(outcomes, decisions, strict=True))
    total = sum(outcomes) + sum(decisions)
    return 2 * both / total if total else math.nan


def brier(outcomes: Sequence[bool], scores: Sequence[float]) -> float:
    """Mean squared difference of probability and outcome, 0..1. NaN for no rows, or a score that is not finite."""
    if not outcomes or not _finite(scores):
        return math.nan
    return sum((score - outcome) ** 2 for outcome, score in zip(outcomes, scores, strict=True)) / len(outcomes)


def ece(outcomes: Sequence[bool], scores: Sequence[float], bins: int = BINS) -> float:
    """Expected calibration error: mean gap of probability and frequency over equal-width bins, weighted by rows.

    NaN for no rows, or a score that is no probability.
    """
    if not outcomes:
        return math.nan
    groups: list[list[int]] = [[] for _ in range(bins)]
    for index, score in enumerate(scores):
        if not 0 <= score <= 1:
            return math.nan
        groups[min(bins - 1, int(score * bins))].append(index)
    gaps = (abs(sum(scores[i] for i in group) - sum(outcomes[i] for i in group)) for group in groups)
    return sum(gaps) / len(outcomes)


def equal_opportunity_difference(qualified: Sequence[bool], favoured: Sequence[bool], member: Sequence[bool]) -> float:
    """Gap between the protected group and everybody else in the share of the qualified who get the favourable decision, 0..1.

    NaN if one side has fewer than SMALLEST_SLICE qualified rows: then there is no evidence of fairness.
    """
    shares = []
    for side in (True, False):
        chosen = [favour for fit, favour, inside in zip(qualified, favoured, member, strict=True) if fit and inside is side]
        if len(chosen) < SMALLEST_SLICE:
            return math.nan
        shares.append(sum(chosen) / len(chosen))
    return abs(shares[0] - shares[1])


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile. NaN for no values, or one that is not finite."""
    if not values or not _finite(values):
        return math.nan
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def slices(
    columns: Mapping[str, Sequence[str]], outcomes: Sequence[bool], decisions: Sequence[bool], scores: Sequence[float]
) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics per value of each column: column -> value -> {count, accuracy, auc, positive_rate}."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for column, values in columns.items():
        found[column] = {}
        for value in sorted(set(values)):
            rows = [index for index, each in enumerate(values) if each == value]
            picked = [outcomes[i] for i in rows]
            said = [decisions[i] for i in rows]
            found[column][value] = {
                "count": float(len(rows)),
                "accuracy": accuracy(picked, said),
                "auc": auc(picked, [scores[i] for i in rows]),
                "positive_rate": sum(said) / len(rows),
            }
    return found


def worst_slice_accuracy(found: Mapping[str, Mapping[str, Mapping[str, float]]], protected: tuple[str, str]) -> float:
    """Accuracy of the worst slice with enough rows to say anything.

    NaN if the protected slice, named by column and value, has too few: others may be left out, this one never.
    """
    column, value = protected
    if found.get(column, {}).get(value, {}).get("count", 0) < SMALLEST_SLICE:
        return math.nan
    return min(each["accuracy"] for values in found.values() for each in values.values() if each["count"] >= SMALLEST_SLICE)


def _finite(values: Sequence[float]) -> bool:
    # Comparisons with NaN are false: it has no rank, and a loop over ties would never leave it.
    return all(map(math.isfinite, values))
