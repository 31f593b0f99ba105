"""From records to what the classifier sees. The same code runs in training and in serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.contract import Record

NUMBERS = ("pirat", "hirat", "lvrat", "unemp")
CATEGORIES = ("chist", "mhist", "phist", "selfemp", "insurance", "condomin", "single", "hschool")


def matrix(records: Sequence[Record]) -> Any:
    """Array of objects, shape (records, 12): the numbers, then the categories."""
    columns = NUMBERS + CATEGORIES
    rows = np.empty((len(records), len(columns)), dtype=object)
    for index, record in enumerate(records):
        rows[index] = [record[column] for column in columns]
    return rows


def encoder() -> Any:
    """Scales numbers and spreads categories. A category that training never saw becomes all zeros: it neither helps nor harms."""
    numbers = list(range(len(NUMBERS)))
    categories = list(range(len(NUMBERS), len(NUMBERS) + len(CATEGORIES)))
    return ColumnTransformer(
        [("numbers", StandardScaler(), numbers), ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories)]
    )
