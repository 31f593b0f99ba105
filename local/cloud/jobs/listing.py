"""The common part of SageMaker's List operations: filters, order, pages."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from local.cloud.sagemaker.base import validation

DEFAULT_PAGE = 10  # "The default value is 10" of ListTrainingJobs and its kin


class Listing:
    """A List request over answers of Describe. `sort_fields` says which field a value of SortBy means."""

    def __init__(
        self, request: Mapping[str, Any], sort_fields: Mapping[str, str], default_sort: str = "CreationTime", descending: bool = True
    ) -> None:
        self._request = request
        self._sort_fields = sort_fields
        self._default_sort = default_sort
        self._descending = descending

    def page(self, items: Sequence[dict[str, Any]], name: str, status: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        """The items of this page and the token of the next. `name` and `status` are the fields that filters look at."""
        asked = self._request
        kept = [item for item in items if self._wanted(item, name, status)]
        field = self._sort_fields.get(asked.get("SortBy") or self._default_sort, self._default_sort)
        order = asked.get("SortOrder")
        kept.sort(
            key=lambda item: (item.get(field) or "", item.get(name) or ""), reverse=order == "Descending" if order else self._descending
        )
        start = _start(asked.get("NextToken"))
        end = start + int(asked.get("MaxResults") or DEFAULT_PAGE)
        return kept[start:end], _token(end) if end < len(kept) else None

    def _wanted(self, item: Mapping[str, Any], name: str, status: str | None) -> bool:
        asked = self._request
        text = asked.get("NameContains")
        if text and text.lower() not in str(item[name]).lower():
            return False
        if status and asked.get("StatusEquals") and item.get(status) != asked["StatusEquals"]:
            return False
        for parameter, field, later in (
            ("CreationTimeAfter", "CreationTime", True),
            ("CreationTimeBefore", "CreationTime", False),
            ("CreatedAfter", "CreationTime", True),
            ("CreatedBefore", "CreationTime", False),
            ("LastModifiedTimeAfter", "LastModifiedTime", True),
            ("LastModifiedTimeBefore", "LastModifiedTime", False),
        ):
            limit = asked.get(parameter)
            if limit is not None:
                bound = datetime.fromtimestamp(float(limit), UTC)
                if (item[field] < bound) if later else (item[field] > bound):
                    return False
        return True


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(str(start).encode()).decode()


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except ValueError as error:
        raise validation("The NextToken is not valid.") from error
