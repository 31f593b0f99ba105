"""Errors that an AWS client sees: a code, a message, an HTTP status; the dispatcher writes them in the protocol of the service."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class CloudError(ServiceException):
    """An error answer of any service, raised anywhere below the dispatcher."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


def not_implemented(service: str, operation: str) -> CloudError:
    """The answer to what the embedded cloud does not do; SDKs do not retry a 501."""
    return CloudError("NotImplemented", f"{service}:{operation} is not part of the embedded cloud", 501)
