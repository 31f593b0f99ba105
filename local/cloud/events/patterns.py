"""Event patterns: which events a rule wants, by the EventBridge user guide "Comparison operators for use in event patterns"."""

from __future__ import annotations

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
}
_ABSENT: Any = object()


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether an event, or a part of it, has all that a pattern asks for."""
    for key, wanted in pattern.items():
        if key == "$or":
            if not any(matches(part, event) for part in wanted):
                return False
            continue
        value = event.get(key, _ABSENT) if isinstance(event, Mapping) else _ABSENT
        if isinstance(wanted, Mapping):
            if isinstance(value, list):
                if not any(matches(wanted, item) for item in value):
                    return False
            elif not matches(wanted, value):
                return False
        elif not any(_wanted(condition, value) for condition in wanted):
            return False
    return True


def _wanted(condition: Any, value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    if isinstance(condition, Mapping) and "exists" in condition:
        return bool(condition["exists"]) is (value is not _ABSENT)
    if value is _ABSENT:
        return False
    if isinstance(condition, Mapping) and "anything-but" in condition:
        return all(not _excluded(condition["anything-but"], item) for item in values)
    return any(_one(condition, item) for item in values)


def _excluded(excluded: Any, value: Any) -> bool:
    if isinstance(excluded, Mapping):
        ((name, argument),) = excluded.items()
        return any(_one({name: part}, value) for part in (argument if isinstance(argument, list) else [argument]))
    return value in (excluded if isinstance(excluded, list) else [excluded])


def _one(condition: Any, value: Any) -> bool:
    if not isinstance(condition, Mapping):
        return (type(condition) is type(value) and condition == value) or (_numbers(condition, value) and condition == value)
    ((name, argument),) = condition.items()
    if name == "numeric":
        return _is_number(value) and all(_COMPARE[sign](value, limit) for sign, limit in zip(argument[::2], argument[1::2], strict=True))
    if not isinstance(value, str):
        return False
    match name:
        case "prefix" if isinstance(argument, Mapping):
            return value.lower().startswith(argument["equals-ignore-case"].lower())
        case "suffix" if isinstance(argument, Mapping):
            return value.lower().endswith(argument["equals-ignore-case"].lower())
        case "prefix":
            return value.startswith(str(argument))
        case "suffix":
            return value.endswith(str(argument))
        case "equals-ignore-case":
            return value.lower() == str(argument).lower()
        case "wildcard":
            return _wildcard(argument).fullmatch(value) is not None
        case "cidr":
            return _in_network(value, str(argument))
    raise ValueError(f"an event pattern knows no {name!r}")


def _numbers(left: Any, right: Any) -> bool:
    return _is_number(left) and _is_number(right)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _in_network(value: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _wildcard(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def invalid(text: str) -> str | None:
    """Why a pattern is not one, or None: every leaf is a list."""
    try:
        pattern = json.loads(text)
    except ValueError:
        return "Invalid JSON"
    return (
        None
        if isinstance(pattern, dict) and pattern and _leaves_are_lists(pattern)
        else "Match value must be String, number, true, false, or null"
    )


def _leaves_are_lists(part: Any) -> bool:
    return all(isinstance(value, list) or (isinstance(value, dict) and _leaves_are_lists(value)) for value in part.values())
