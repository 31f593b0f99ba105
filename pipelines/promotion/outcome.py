"""How a promotion ended, and how a job tells whoever watches it.

A processing job's exit message (at most 1 KB, from `output/message`) is all that DescribeProcessingJob shows of what the code had to
say, so outcome and error travel in it as JSON.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from infra import errors

Ending = Literal["released", "rolled-back", "unknown"]

MESSAGE_LIMIT = 1024


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a promotion. `at` is service time, epoch seconds; `reasons` say why it was rolled back, or why nobody can tell."""

    promotion: str
    operation: str
    ending: Ending
    endpoint_config: str
    model_package_arn: str
    at: float
    reasons: tuple[str, ...] = ()

    def error(self) -> errors.LockstepError | None:
        """What an ending other than `released` is, as an error with its exit code."""
        if self.ending == "rolled-back":
            return errors.RolledBack(
                f"promotion {self.promotion} was rolled back: {'; '.join(self.reasons) or 'the service gave no reason'}",
                where=self.model_package_arn,
                remedy="The former release serves. The ledger's evidence of this promotion says what was seen.",
            )
        if self.ending == "unknown":
            return errors.OutcomeUnknown(
                f"how promotion {self.promotion} ended can't be told: {'; '.join(self.reasons)}",
                where=self.model_package_arn,
                remedy="Find out who changed the endpoint. `lockstep restore` brings the ledger's last release back.",
            )
        return None

    def raise_unless_released(self) -> None:
        if error := self.error():
            raise error

    @classmethod
    def parse(cls, value: dict[str, object]) -> Outcome:
        return cls(**{**value, "reasons": tuple(value.get("reasons", ()))})  # type: ignore[arg-type]


def exit_message(ended: Outcome | errors.LockstepError) -> str:
    """The JSON of an outcome or error, within the service's limit: long texts are cut, never the structure."""
    if isinstance(ended, Outcome):
        error = ended.error()
        exit_code = error.exit_code if error else 0
        body: dict[str, object] = {"outcome": {**asdict(ended), "reasons": list(ended.reasons)}, "exit_code": exit_code}
        if len(text := json.dumps(body)) <= MESSAGE_LIMIT:
            return text
        return json.dumps({"outcome": {**asdict(ended), "reasons": []}, "exit_code": exit_code})
    room = 700
    while True:
        body = {
            "error": type(ended).__name__,
            "message": ended.message[:room],
            "where": (ended.where or "")[: room // 2] or None,
            "remedy": (ended.remedy or "")[: room // 2] or None,
            "exit_code": ended.exit_code,
        }
        text = json.dumps(body)
        if len(text.encode()) <= MESSAGE_LIMIT:
            return text
        room -= 50


def write_exit_message(ended: Outcome | errors.LockstepError) -> None:
    """Leave the message where the job's host reads it."""
    folder = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "message").write_text(exit_message(ended), encoding="utf-8")


def parse_exit_message(message: str | None) -> Outcome | errors.LockstepError | None:
    """What a job said, or None if it said nothing that can be read."""
    try:
        body = json.loads(message or "")
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("outcome"), dict):
        return Outcome.parse(body["outcome"])
    kind = getattr(errors, str(body.get("error")), None)
    if isinstance(kind, type) and issubclass(kind, errors.LockstepError):
        return kind(str(body.get("message")), where=body.get("where"), remedy=body.get("remedy"))
    return None
