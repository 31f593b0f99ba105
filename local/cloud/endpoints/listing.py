"""Filters, order and pages of the List operations of models, endpoint configs and endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.sagemaker.base import validation

PAGE = 10
"""What SageMaker returns when MaxResults is not given."""

_FILTERS = (
    ("CreationTimeAfter", "CreationTime", 1), ("CreationTimeBefore", "CreationTime", -1),
    ("LastModifiedTimeAfter", "LastModifiedTime", 1), ("LastModifiedTimeBefore", "LastModifiedTime", -1),
)  # fmt: skip


def listed(member: str, items: list[dict[str, Any]], given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One page of items under `member`; `name` is the field that SortBy=Name and NameContains mean."""
    if given.get("NameContains"):
        items = [i for i in items if given["NameContains"].lower() in i[name].lower()]
    for parameter, field, sign in _FILTERS:
        limit = given.get(parameter)
        if limit is not None:
            items = [i for i in items if sign * (i[field].timestamp() - _epoch(limit)) >= 0]
    key = {"Name": name, "Status": "EndpointStatus"}.get(given.get("SortBy", ""), "CreationTime")
    items = sorted(items, key=lambda i: i[key], reverse=given.get("SortOrder", "Descending") == "Descending")
    token, size = given.get("NextToken") or "0", int(given.get("MaxResults") or PAGE)
    if not token.isdecimal():
        raise validation("The NextToken is not valid.")
    start = int(token)
    result: dict[str, Any] = {member: items[start : start + size]}
    if len(items) > start + size:
        result["NextToken"] = str(start + size)
    return result


def _epoch(value: Any) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)
