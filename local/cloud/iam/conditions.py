"""Condition blocks: operators, IfExists, ForAnyValue and ForAllValues, by the IAM reference "JSON policy elements: Condition operators"."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.aws_errors import not_implemented
from local.cloud.iam.variables import Unresolved, literal, pattern_of

Context = Mapping[str, str | list[str]]
Match = Callable[[str, str, Context, bool], bool]
"""(value in the policy, value in the request, context, variables allowed) -> whether they match."""


def holds(block: Mapping[str, Mapping[str, Any]], context: Context, variables: bool = True) -> bool:
    """Whether all operators with all their keys hold."""
    return all(
        _holds(
            operator,
            key,
            [str(value) if not isinstance(value, bool) else str(value).lower() for value in _list(values)],
            context,
            variables,
        )
        for operator, keys in block.items()
        for key, values in keys.items()
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context, variables: bool) -> bool:
    qualifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    present = key.lower() in context
    if name == "Null":
        return any((value.lower() == "true") is not present for value in wanted)
    negated = name in NEGATED
    match = OPERATORS.get(NEGATED.get(name, name))
    if match is None:
        raise not_implemented("iam", f"Condition operator {operator}")
    if not present:
        if qualifier == "ForAllValues" or if_exists:
            return True
        return negated and qualifier != "ForAnyValue"
    have = _list(context[key.lower()])

    def one(value: str) -> bool:
        return any(_safely(match, policy_value, value, context, variables) for policy_value in wanted) is not negated

    if qualifier == "ForAllValues":
        return all(one(value) for value in have)
    if qualifier == "ForAnyValue":
        return any(one(value) for value in have)
    return all(one(value) for value in have) if negated else any(one(value) for value in have)


def _safely(match: Match, wanted: str, have: str, context: Context, variables: bool) -> bool:
    try:
        return match(wanted, have, context, variables)
    except (Unresolved, ValueError):
        return False


def _string_equals(wanted: str, have: str, context: Context, variables: bool) -> bool:
    return literal(wanted, context, variables) == have


def _ignore_case(wanted: str, have: str, context: Context, variables: bool) -> bool:
    return literal(wanted, context, variables).lower() == have.lower()


def _string_like(wanted: str, have: str, context: Context, variables: bool) -> bool:
    return pattern_of(wanted, context, variables).fullmatch(have) is not None


def _arn_like(wanted: str, have: str, context: Context, variables: bool) -> bool:
    """Each of the six parts of an ARN may hold wildcards, which do not reach over a colon into the next part."""
    if wanted == "*":
        return True
    wanted_parts, have_parts = literal(wanted, context, variables).split(":", 5), have.split(":", 5)
    if len(wanted_parts) != 6 or len(have_parts) != 6:
        return False
    return all(pattern_of(part, context, False).fullmatch(value) for part, value in zip(wanted_parts, have_parts, strict=True))


def _bool(wanted: str, have: str, context: Context, variables: bool) -> bool:
    return wanted.lower() == have.lower()


def _number(compare: Callable[[float, float], bool]) -> Match:
    return lambda wanted, have, context, variables: compare(float(have), float(wanted))


def _date(compare: Callable[[datetime, datetime], bool]) -> Match:
    return lambda wanted, have, context, variables: compare(_moment(have), _moment(wanted))


def _moment(text: str) -> datetime:
    if text.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(text), UTC)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ip(wanted: str, have: str, context: Context, variables: bool) -> bool:
    return ipaddress.ip_address(have) in ipaddress.ip_network(wanted, strict=False)


def _binary(wanted: str, have: str, context: Context, variables: bool) -> bool:
    return base64.b64decode(wanted) == base64.b64decode(have)


OPERATORS: dict[str, Match] = {
    "StringEquals": _string_equals,
    "StringEqualsIgnoreCase": _ignore_case,
    "StringLike": _string_like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _bool,
    "BinaryEquals": _binary,
    "IpAddress": _ip,
    "NumericEquals": _number(lambda have, wanted: have == wanted),
    "NumericLessThan": _number(lambda have, wanted: have < wanted),
    "NumericLessThanEquals": _number(lambda have, wanted: have <= wanted),
    "NumericGreaterThan": _number(lambda have, wanted: have > wanted),
    "NumericGreaterThanEquals": _number(lambda have, wanted: have >= wanted),
    "DateEquals": _date(lambda have, wanted: have == wanted),
    "DateLessThan": _date(lambda have, wanted: have < wanted),
    "DateLessThanEquals": _date(lambda have, wanted: have <= wanted),
    "DateGreaterThan": _date(lambda have, wanted: have > wanted),
    "DateGreaterThanEquals": _date(lambda have, wanted: have >= wanted),
}

NEGATED: dict[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
