"""The conditions of a Condition step, evaluated over resolved values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


MEMBERS = dict.fromkeys(("Equals", *COMPARISONS), ("LeftValue", "RightValue")) | {
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}


class BadCondition(Exception):
    """A condition that can't be evaluated: an unknown type, or values that have no order."""


def holds(condition: Mapping[str, Any]) -> bool:
    """Whether one condition holds. A comparison with NaN does not."""
    kind = condition.get("Type")
    if kind == "Equals":
        return _equal(condition["LeftValue"], condition["RightValue"])
    if kind in COMPARISONS:
        return _compare(kind, condition["LeftValue"], condition["RightValue"])
    if kind == "In":
        return any(_equal(condition["QueryValue"], value) for value in condition["Values"])
    if kind == "Not":
        return not holds(condition["Condition"])
    if kind == "Or":
        return any(holds(item) for item in condition["Conditions"])
    raise BadCondition(f"there is no condition of type {kind!r}")


def check(condition: Any) -> None:
    """BadCondition where a condition, or one inside it, is of no type that there is, or lacks what its type needs."""
    kind = condition.get("Type") if isinstance(condition, Mapping) else None
    members = MEMBERS.get(str(kind))
    if members is None:
        raise BadCondition(f"there is no condition of type {kind!r}")
    for member in members:
        if member not in condition:
            raise BadCondition(f"a condition of type {kind} needs {member}")
    if kind in ("In", "Or") and not isinstance(condition[members[-1]], list):
        raise BadCondition(f"{members[-1]} of a condition of type {kind} must be a list")
    inside = [condition["Condition"]] if kind == "Not" else condition["Conditions"] if kind == "Or" else []
    for item in inside:
        check(item)


def _equal(left: Any, right: Any) -> bool:
    """Equal in value and kind: the string "1" is not the number 1, and true is neither."""
    return _kind(left) == _kind(right) and bool(left == right)


def _compare(kind: str, left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right) or _kind(left) not in ("number", "text"):
        raise BadCondition(f"{kind} can't compare {left!r} with {right!r}")
    return COMPARISONS[kind](left, right)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__
