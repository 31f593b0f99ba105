"""The one tree of errors that Lockstep raises on purpose, and the exit code of each.

    LockstepError                 1  something failed; nothing more precise is known
    ├── UsageError                2  the command or its arguments are wrong
    ├── ConfigError               2  a file that a person edits is wrong
    ├── PreflightError            1  a condition that must hold before a change does not; nothing was changed
    ├── ConflictError             1  somebody else is changing the same thing; nothing was changed
    ├── IntegrityError            1  bytes are not the ones that their digest names; nothing was changed
    ├── GateRefused               3  a gate did not pass, or its evidence is missing
    ├── RolledBack                4  the rollout was undone; the former release serves
    └── OutcomeUnknown            5  the outcome can't be told; a person must look

A message says what is wrong; `where` says in which file and at which key path, or on which resource; `remedy`
says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class LockstepError(Exception):
    """Base of all errors with a message that is meant for a person.

    Args:
        message: what is wrong, one sentence.
        where: the file and key path, resource or command that it is about.
        remedy: what the reader can do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.remedy}" if self.remedy else text


class UsageError(LockstepError):
    """The command or its arguments are wrong."""

    exit_code = 2


class ConfigError(LockstepError):
    """A file that a person edits (stack file, gates, workload) is wrong."""

    exit_code = 2


class PreflightError(LockstepError):
    """A condition that must hold before a change does not hold. Nothing was changed."""


class ConflictError(LockstepError):
    """Somebody else is changing the same thing. Nothing was changed."""


class IntegrityError(LockstepError):
    """Bytes are not the ones that their digest names. Nothing was changed."""


class GateRefused(LockstepError):
    """A gate did not pass, or the evidence that it needs is missing."""

    exit_code = 3


class RolledBack(LockstepError):
    """A rollout was undone; the former release serves."""

    exit_code = 4


class OutcomeUnknown(LockstepError):
    """The outcome can't be told from what the cloud answers; a person must look."""

    exit_code = 5
