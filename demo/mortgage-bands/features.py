"""From records to what the classifier sees: risk bands, as credit officers read an application.

Each column becomes a few points of risk, so that every coefficient can be read off a score card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from pipelines.contract import Record

PAYMENT_BANDS = (0.20, 0.28, 0.33, 0.36, 0.40, 0.43, 0.50)
LOAN_BANDS = (0.60, 0.70, 0.80, 0.90, 0.95, 1.00)

CREDIT_HISTORY = {"1": 0, "2": 1, "3": 1.5, "4": 2, "5": 3, "6": 4}
MORTGAGE_HISTORY = {"1": 0, "2": 0.5, "3": 1.5, "4": 2}
PUBLIC_RECORD = {"no": 0, "yes": 3}
INSURANCE_DENIED = {"no": 0, "yes": 6}
YES_NO = {"no": 0, "yes": 1}


def matrix(records: Sequence[Record]) -> Any:
    """Array of floats, shape (records, 11): points of risk per column."""
    return np.array([_points(record) for record in records], dtype=float)


def encoder() -> Any:
    """Points differ in size; the classifier's regularisation wants them alike."""
    return StandardScaler()


def _points(record: Record) -> list[float]:
    return [
        _band(record["pirat"], PAYMENT_BANDS),
        _band(record["hirat"], PAYMENT_BANDS),
        _band(record["lvrat"], LOAN_BANDS),
        float(record["unemp"]),
        CREDIT_HISTORY[str(record["chist"])],
        MORTGAGE_HISTORY[str(record["mhist"])],
        PUBLIC_RECORD[str(record["phist"])],
        INSURANCE_DENIED[str(record["insurance"])],
        YES_NO[str(record["selfemp"])],
        YES_NO[str(record["condomin"])],
        YES_NO[str(record["single"])],
    ]


def _band(value: float | str, bounds: Sequence[float]) -> float:
    return float(sum(float(value) > bound for bound in bounds))
