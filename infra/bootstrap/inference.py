"""What the endpoint serves before the first release: answers that keep the contract, and that say what they are.

AWS's prebuilt scikit-learn container loads this file from the model archive in script mode and calls the four
functions. It uses the standard library alone.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

ANSWER = {"release": "bootstrap", "message": "No model has been released to this endpoint yet."}


def model_fn(model_dir: str) -> dict[str, str]:
    """There is no model to load from the folder; the answer stands for it."""
    return dict(ANSWER)


def input_fn(request_body: str | bytes, content_type: str) -> int:
    """Reads a request of the contract.

    Args:
        request_body: rows of CSV, or JSON with one object per row.
        content_type: text/csv or application/json.

    Returns:
        The number of rows.
    """
    text = request_body.decode("utf-8") if isinstance(request_body, bytes) else request_body
    kind = content_type.split(";")[0].strip().lower()
    if kind == "text/csv":
        return sum(1 for row in csv.reader(io.StringIO(text)) if row)
    if kind == "application/json":
        rows = json.loads(text)
        return len(rows) if isinstance(rows, list) else 1
    raise ValueError(f"content type {content_type!r}: this endpoint takes text/csv and application/json")


def predict_fn(rows: int, model: dict[str, str]) -> dict[str, Any]:
    """No prediction for any row."""
    return {**model, "predictions": [None] * rows}


def output_fn(prediction: dict[str, Any], accept: str) -> tuple[str, str]:
    """JSON, whatever the request accepts: an answer without a prediction has no other honest form."""
    return json.dumps(prediction), "application/json"
