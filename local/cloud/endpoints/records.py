"""What an account has of models, endpoint configs and endpoints: the requests as they were given, with ARNs, times and tags."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Tags = list[dict[str, str]]


@dataclass
class ModelRecord:
    """A model, as CreateModel was given it."""

    arn: str
    given: dict[str, Any]
    created: datetime
    tags: Tags = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.given["ModelName"])

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The containers in order; one unless the model is a pipeline."""
        return [self.given["PrimaryContainer"]] if self.given.get("PrimaryContainer") else list(self.given.get("Containers") or [])

    def describe(self) -> dict[str, Any]:
        """What DescribeModel returns."""
        result = {k: v for k, v in self.given.items() if k != "Tags"}
        result.setdefault("EnableNetworkIsolation", False)
        return result | {"ModelArn": self.arn, "CreationTime": self.created}


@dataclass
class ConfigRecord:
    """An endpoint config, which never changes."""

    arn: str
    given: dict[str, Any]
    created: datetime
    tags: Tags = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.given["EndpointConfigName"])

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Production variants by name."""
        return {v["VariantName"]: v for v in self.given["ProductionVariants"]}

    @property
    def capture(self) -> dict[str, Any] | None:
        """The DataCaptureConfig where capture is on; EnableCapture's default is true."""
        config = self.given.get("DataCaptureConfig")
        return config if config and config.get("EnableCapture", True) else None

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpointConfig returns."""
        result = {k: v for k, v in self.given.items() if k != "Tags"}
        result.setdefault("EnableNetworkIsolation", False)
        return result | {"EndpointConfigArn": self.arn, "CreationTime": self.created}


@dataclass
class VariantState:
    """A production variant as it runs: wanted and present size and weight."""

    name: str
    desired_count: int
    desired_weight: float
    current_count: int = 0
    current_weight: float = 0.0


@dataclass
class Status:
    """One entry of a variant's VariantStatus list."""

    status: str
    message: str
    start: datetime

    def describe(self) -> dict[str, Any]:
        return {"Status": self.status, "StatusMessage": self.message[:1024], "StartTime": self.start}


@dataclass
class Pending:
    """A deployment that is under way, for PendingDeploymentSummary."""

    config: ConfigRecord
    start: datetime
    variants: dict[str, VariantState]
    statuses: dict[str, Status] = field(default_factory=dict)


@dataclass
class EndpointRecord:
    """An endpoint: what it serves, what it is becoming, and how it last ended."""

    arn: str
    name: str
    config: ConfigRecord
    created: datetime
    modified: datetime
    status: str
    variants: dict[str, VariantState]
    tags: Tags = field(default_factory=list)
    failure_reason: str | None = None
    pending: Pending | None = None
    deployment_config: dict[str, Any] | None = None
    statuses: dict[str, Status] = field(default_factory=dict)

    @property
    def config_name(self) -> str:
        return self.config.name
