"""What can go wrong in the rehearsal's own machinery.

    LocalError              a message, where it happened, what to do
    ├── PortInUse           the port asked for is taken
    ├── CloudNotRunning     something needs the embedded cloud and none answers
    ├── RoleNotAssumable    a service was given a role that does not exist or does not trust it
    └── ClockError          a change of the clock that would move time backwards

Errors that an AWS client sees are `local.cloud.aws_errors.CloudError`.
"""

from __future__ import annotations


class LocalError(Exception):
    """An error for a person to read: what is wrong, where, and what to do about it."""

    def __init__(self, message: str, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.remedy}" if self.remedy else text


class PortInUse(LocalError):
    """The port asked for is taken by another process."""


class CloudNotRunning(LocalError):
    """No embedded cloud answers where one was expected."""


class RoleNotAssumable(LocalError):
    """A service was given a role that does not exist, or whose trust policy does not name the service."""


class ClockError(LocalError):
    """A change of the clock that would move time backwards, or a speed that is not positive."""
