"""Pure: the state of a metric alarm from its data points.

Source of the rules: the CloudWatch user guide, "Configuring how alarms treat missing data" (its two example tables are tests here).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

EXTRA_POINTS = 2
"""How many points beyond EvaluationPeriods are looked at when some are missing. The guide calls the sum the evaluation range; its
examples have 5 for 3."""


@dataclass(frozen=True)
class Rule:
    """What an alarm compares: threshold, M (`datapoints`) out of N (`periods`), and what a missing point means."""

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    treat_missing: str = "missing"

    @property
    def range(self) -> int:
        """Number of points to retrieve, the newest last."""
        return self.periods + EXTRA_POINTS


@dataclass(frozen=True)
class Verdict:
    """The state an alarm should have; None keeps the present one."""

    state: str | None
    breaching: int
    points: tuple[float, ...]


def evaluate(rule: Rule, points: Sequence[float | None]) -> Verdict:
    """Judges the points of the evaluation range, oldest first, None for a missing one.

    When enough of the range exists, the newest N existing points decide and the treatment of missing ones does not matter. Otherwise the
    points that lack are filled by the treatment.
    """
    existing = [p for p in points if p is not None][-rule.periods :]
    compare = COMPARISONS[rule.comparison]
    breaching = sum(1 for p in existing if compare(p, rule.threshold))
    missing = rule.periods - len(existing)
    return Verdict(_state(rule, len(existing), breaching, missing), breaching, tuple(existing))


def _state(rule: Rule, existing: int, breaching: int, missing: int) -> str | None:
    if missing <= 0:
        return ALARM if breaching >= rule.datapoints else OK
    if rule.treat_missing == "breaching":
        return ALARM if breaching + missing >= rule.datapoints else OK
    if rule.treat_missing == "notBreaching":
        return ALARM if breaching >= rule.datapoints else OK
    if not existing:
        return None if rule.treat_missing == "ignore" else INSUFFICIENT_DATA
    if breaching >= rule.datapoints:
        return ALARM
    if breaching and breaching >= min(rule.datapoints, existing):
        return None if rule.treat_missing == "ignore" else ALARM
    return OK


def reason(rule: Rule, verdict: Verdict) -> str:
    """The sentence that an alarm's StateReason carries."""
    if verdict.state == INSUFFICIENT_DATA:
        return f"Insufficient Data: {rule.periods} datapoint{'s were' if rule.periods > 1 else ' was'} unknown."
    word = WORDS[rule.comparison]
    if not verdict.points:
        plural = "s were" if rule.periods > 1 else " was"
        treated = "breaching" if rule.treat_missing == "breaching" else "not breaching"
        return (
            f"Threshold Crossed: no datapoints were received for {rule.periods} period{'s' if rule.periods > 1 else ''} and "
            f"{rule.periods} missing datapoint{plural} treated as [{'Breaching' if treated == 'breaching' else 'NonBreaching'}]."
        )
    values = ", ".join(str(p) for p in verdict.points)
    crossed = verdict.state == ALARM
    number = verdict.breaching if crossed else len(verdict.points) - verdict.breaching
    plural = "s" if number != 1 else ""
    verb = ("were" if number != 1 else "was") + ("" if crossed else " not")
    return f"Threshold Crossed: {number} datapoint{plural} [{values}] {verb} {word} the threshold ({rule.threshold})."
