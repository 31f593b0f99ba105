"""One step in one execution: where it stands, and what it left."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.cloud.pipelines.definition import Step

ENDED = frozenset({"Succeeded", "Failed", "Stopped"})


@dataclass
class StepRun:
    """The state of a step. `status` is None until it starts; `skipped` when it never will. `properties` is the whole answer of Describe."""

    step: Step
    status: str | None = None
    skipped: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    failure_reason: str | None = None
    attempts: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    outcome: bool | None = None
    cache_source: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.skipped or self.status in ENDED

    def summary(self) -> dict[str, Any]:
        """The step as ListPipelineExecutionSteps shows it."""
        answer = {
            "StepName": self.step.name,
            "StepDisplayName": self.step.display_name,
            "StepDescription": self.step.description,
            "StartTime": self.started,
            "EndTime": self.ended,
            "StepStatus": self.status,
            "CacheHitResult": {"SourcePipelineExecutionArn": self.cache_source} if self.cache_source else None,
            "FailureReason": self.failure_reason,
            "Metadata": self.metadata or None,
            "AttemptCount": self.attempts,
        }
        return {name: value for name, value in answer.items() if value is not None}
