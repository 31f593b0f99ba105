"""From the bytes of a request to the bytes of an answer.

Requests are checked against the workload's data contract; what breaks it is the caller's fault (400). What the model can't
answer although the contract allows it is the model's fault, and is let through as the exception that it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.contract import ContractViolation, Record, read_csv
from pipelines.workload import Model, Workload, load_workload

CSV = "text/csv"
JSON = "application/json"
MAX_RECORDS = 1000


class BadRequest(Exception):
    """The request is at fault. `status`: the HTTP status of the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Handler:
    """A loaded model behind its contract. `model_id`: 12 hex digits that name the model's files."""

    workload: Workload
    model: Model
    model_id: str

    def answer(self, body: bytes, content_type: str) -> bytes:
        """Predictions for one request, as JSON `{"predictions": [{"label", "probability"}], "workload", "model"}`.

        Args:
            body: CSV with a header line, or JSON `{"instances": [{column: value}]}`.

        Raises:
            BadRequest: the body is no such thing, or breaks the data contract.
        """
        records = self._records(body, content_type)
        predictions = self.model.predict(records)
        return json.dumps(
            {
                "predictions": [{"label": each.label, "probability": each.probability} for each in predictions],
                "workload": self.workload.spec.name,
                "model": self.model_id,
            }
        ).encode()

    def _records(self, body: bytes, content_type: str) -> list[Record]:
        kind = content_type.split(";")[0].strip().lower()
        try:
            text = body.decode("utf-8")
            rows = read_csv(text) if kind == CSV else _json_rows(text) if kind == JSON else None
            if rows is None:
                raise BadRequest(f"content type {kind or 'missing'!r} is not served; send {CSV} or {JSON}", 415)
            if not 1 <= len(rows) <= MAX_RECORDS:
                raise BadRequest(f"{len(rows)} records; a request has 1 to {MAX_RECORDS}")
            return self.workload.contract.parse(rows, inputs_only=True)
        except (UnicodeDecodeError, ContractViolation) as error:
            raise BadRequest(str(error)) from error


def load_handler(model_folder: Path, workload: Workload | None = None) -> Handler:
    """The handler of the model in a folder, with the code of the workload that LOCKSTEP_WORKLOAD names."""
    chosen = workload or load_workload()
    return Handler(workload=chosen, model=chosen.code.load(model_folder), model_id=_fingerprint(model_folder))


def _json_rows(text: str) -> list[Mapping[str, object]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not all(isinstance(each, dict) for each in instances):
        raise BadRequest('the body must be {"instances": [{column: value, ...}, ...]}')
    return instances


def _fingerprint(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]
