"""An error as people and machines are told of it: what is wrong, where, what to do, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """What there is to say of an error that was expected."""

    kind: str
    message: str
    where: str | None
    remedy: str | None
    exit_code: int

    def document(self) -> dict[str, Any]:
        """For machines: the value of `error` in the JSON that a command prints. What is not known is left out."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def text(self) -> str:
        """For people."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"error: {text}" + (f"\n  {self.remedy}" if self.remedy else "")


def explain(error: Exception) -> Failure | None:
    """What to tell of an error; None if it is none of those that are expected, which makes it a bug to be seen whole."""
    from infra.errors import LockstepError
    from local.errors import LocalError

    kind = type(error).__name__
    if isinstance(error, LockstepError):
        return Failure(kind, error.message, error.where, error.remedy, error.exit_code)
    if isinstance(error, LocalError):
        return Failure(kind, error.message, error.where or None, error.remedy or None, 1)
    if type(error).__module__.split(".")[0] == "botocore":
        return _explain_aws(error)
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(kind, error.strerror or str(error), str(error.filename), "Make it a place that you may use, or name another.", 1)
    return None


def _explain_aws(error: Exception) -> Failure | None:
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        return Failure("ClientError", f"{said.get('Code', 'unknown')}: {said.get('Message', error)}", error.operation_name, None, 1)
    if isinstance(error, EndpointConnectionError):
        return Failure(
            "EndpointConnectionError", str(error), None, "Is the embedded cloud up (`lockstep cloud status`), or the network?", 1
        )
    return Failure(type(error).__name__, str(error), None, None, 1) if isinstance(error, BotoCoreError) else None
