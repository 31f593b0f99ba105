"""Results of earlier runs of a step, kept per pipeline, for steps that ask for them (CacheConfig)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.cloud.pipelines.definition import Step
from local.cloud.pipelines.steprun import StepRun

# The arguments that decide whether a run is the same; roles, networks and outputs are not among them.
KEYS: dict[str, tuple[str, ...]] = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
}


@dataclass(frozen=True)
class _Result:
    ended: datetime
    execution_arn: str
    properties: dict[str, Any]
    metadata: dict[str, Any]


class StepCache:
    """The latest successful result of each step and arguments. Times are the cloud's."""

    def __init__(self) -> None:
        self._results: dict[str, _Result] = {}
        self._lock = threading.Lock()

    def find(self, step: Step, arguments: Mapping[str, Any], now: datetime) -> _Result | None:
        """An earlier result that may stand in for a run with these arguments."""
        if step.cache is None or step.type not in KEYS:
            return None
        with self._lock:
            found = self._results.get(_key(step, arguments))
        if found is None or (step.cache.expire_after is not None and found.ended + step.cache.expire_after < now):
            return None
        return found

    def keep(self, run: StepRun, arguments: Mapping[str, Any], execution_arn: str) -> None:
        """Remember a run that succeeded."""
        if run.step.type in KEYS and run.ended is not None:
            with self._lock:
                self._results[_key(run.step, arguments)] = _Result(run.ended, execution_arn, run.properties, run.metadata)


def _key(step: Step, arguments: Mapping[str, Any]) -> str:
    chosen = {name: arguments.get(name) for name in KEYS[step.type]}
    return hashlib.sha256(json.dumps([step.name, step.type, chosen], sort_keys=True, default=str).encode()).hexdigest()
