"""Sorted pages of a listing, as SageMaker's List operations give them."""

from __future__ import annotations

import base64
import json
from typing import Any

from local.cloud.sagemaker.base import validation


def page(
    member: str,
    records: list[dict[str, Any]],
    request: dict[str, Any],
    keys: dict[str, str],
    tie: str | None = None,
    default_size: int = 10,
) -> dict[str, Any]:
    """One page of `records` under `member`, with NextToken if there are more.

    `keys` maps values of SortBy to members of a record; `tie` is the member that orders equals. Default: by CreationTime, ascending.
    A token is good for the same sorting and filters only, and says where the next page starts.
    """
    key = keys.get(request.get("SortBy", "CreationTime"))
    if key is None:
        raise validation(f"SortBy must be one of {', '.join(keys)}.")
    ordered = sorted(
        records, key=lambda record: (record[key], record.get(tie, 0) if tie else 0), reverse=request.get("SortOrder") == "Descending"
    )
    size = int(request.get("MaxResults") or default_size)
    if not 1 <= size <= 100:
        raise validation("MaxResults must be between 1 and 100.")
    start = _start(request.get("NextToken"))
    answer: dict[str, Any] = {member: ordered[start : start + size]}
    if start + size < len(ordered):
        answer["NextToken"] = base64.urlsafe_b64encode(json.dumps({"start": start + size}).encode()).decode()
    return answer


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token))["start"])
    except (ValueError, KeyError, TypeError):
        raise validation("The NextToken is not valid.") from None
