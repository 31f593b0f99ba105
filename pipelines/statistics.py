"""Statistics of a data set, and how far they have moved from those of the last accepted one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.contract import Contract, Field, Record, StatisticsRules

QUANTILES = 10
FLOOR = 1e-4  # share given to an empty bin, so that the index stays finite


def describe(contract: Contract, records: Sequence[Record]) -> dict[str, Any]:
    """Per column: for numbers the edges between deciles and the share of rows in each bin, for categories the share of each value.

    Returns:
        `{"rows": n, "columns": {name: {"edges": [...], "shares": [...]} | {"values": {value: share}}}}`; the identifier is left out.
    """
    described = [field for field in contract.fields if field.role != "identifier"]
    columns = {field.name: _column(field, [record[field.name] for record in records]) for field in described}
    return {"rows": len(records), "columns": columns}


def problems(contract: Contract, records: Sequence[Record], statistics: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[str]:
    """What speaks against this data set: too few rows, repeated identifiers, a column that moved too far from the baseline."""
    rules: StatisticsRules = contract.statistics
    found: list[str] = []
    if len(records) < rules.minimum_rows:
        found.append(f"{len(records)} rows, at least {rules.minimum_rows} are needed")
    for field in contract.fields:
        if field.role == "identifier" and len({record[field.name] for record in records}) != len(records):
            found.append(f"{field.name} is not unique")
        if field.role == "target" and len({record[field.name] for record in records}) < 2:
            found.append(f"{field.name} has only one value")
    if baseline is not None:
        for field in contract.fields:
            former = baseline.get("columns", {}).get(field.name)
            if former is None:
                continue
            index = stability_index(former, [record[field.name] for record in records])
            if not index <= rules.maximum_psi:
                found.append(f"{field.name} moved from the accepted baseline: stability index {index:.3f} > {rules.maximum_psi:.3f}")
    return found


def stability_index(former: Mapping[str, Any], values: Sequence[Any]) -> float:
    """Population stability index of `values` against the baseline's column: sum of (a - b) ln(a / b) over its bins, 0 or more."""
    if "edges" in former:
        before, now = list(former["shares"]), _shares(values, former["edges"])
    else:
        counts = Counter(values)
        names = sorted(set(former["values"]) | set(counts))
        before = [former["values"].get(name, 0.0) for name in names]
        now = [counts[name] / len(values) for name in names]
    pairs = [(max(a, FLOOR), max(b, FLOOR)) for a, b in zip(now, before, strict=True)]
    return float(sum((a - b) * math.log(a / b) for a, b in pairs))


def _column(field: Field, values: Sequence[Any]) -> dict[str, Any]:
    if field.type == "category":
        counts = Counter(values)
        return {"values": {name: counts[name] / len(values) for name in sorted(counts)}}
    ordered = sorted(values)
    edges = sorted({ordered[len(ordered) * step // QUANTILES] for step in range(1, QUANTILES)}) if ordered else []
    return {"edges": edges, "shares": _shares(values, edges)}


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(value >= edge for edge in edges)] += 1
    return [count / len(values) for count in counts] if values else [0.0] * len(counts)
