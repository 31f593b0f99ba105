"""What the plugin tells the engine.

ProviderError          an operation failed; the engine shows the message beside the resource
├── ConfigError        the provider's own configuration is wrong
├── AwsError           AWS refused a call: has its code
└── PartialError       the resource exists (`identity`, `state`) but is not as asked
"""

from __future__ import annotations

from typing import Any


class ProviderError(Exception):
    """An operation failed."""


class ConfigError(ProviderError):
    """The provider's configuration is wrong."""


class AwsError(ProviderError):
    """AWS refused a call."""

    def __init__(self, service: str, operation: str, code: str, message: str) -> None:
        super().__init__(f"operation error {service}: {operation}, api error {code}: {message}")
        self.code = code
        self.message = message


class PartialError(ProviderError):
    """The resource exists and is not as asked: its id and what is known of it must not be lost."""

    def __init__(self, reason: str, identity: str, state: dict[str, Any]) -> None:
        super().__init__(reason)
        self.identity = identity
        self.state = state
