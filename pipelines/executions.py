"""Start a SageMaker pipeline once, and watch it to its end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import GateRefused, LockstepError, OutcomeUnknown
from pipelines.promotion.outcome import parse_exit_message

ENDED = {"Succeeded", "Failed", "Stopped", "CompletedWithFailures"}
REFUSED_STEP = "GatesRefused"


@dataclass(frozen=True)
class StepState:
    """A step as the service lists it. `metadata` is its Metadata (job ARNs, outcome of a condition)."""

    name: str
    type: str
    status: str
    reason: str
    cache_hit: bool
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `status` is the service's: Succeeded, Failed, Stopped."""

    arn: str
    status: str
    failure_reason: str
    steps: tuple[StepState, ...]

    def step(self, name: str) -> StepState | None:
        return next((step for step in self.steps if step.name == name), None)

    @property
    def succeeded(self) -> bool:
        return self.status == "Succeeded"

    @property
    def refusal(self) -> str | None:
        """Why the gates refused, or None if that is not what ended the run."""
        step = self.step(REFUSED_STEP)
        return (step.reason or self.failure_reason) if step and step.status == "Failed" else None


def token(*parts: str) -> str:
    """A ClientRequestToken (32 to 128 characters), the same for the same parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def start(client: Any, name: str, parameters: Mapping[str, str], token: str) -> str:
    """Start pipeline `name`; a second call with the same token answers with the run that the first one started.

    Returns:
        ARN of the execution.
    """
    answer: dict[str, Any] = client.start_pipeline_execution(
        PipelineName=name,
        PipelineParameters=[{"Name": key, "Value": value} for key, value in parameters.items()],
        ClientRequestToken=token,
    )
    return str(answer["PipelineExecutionArn"])


def steps(client: Any, arn: str) -> tuple[StepState, ...]:
    """The steps that have begun, in the order of their start."""
    found: list[dict[str, Any]] = []
    for page in client.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn, SortOrder="Ascending"):
        found += page["PipelineExecutionSteps"]
    return tuple(_state(step) for step in found)


def watch(
    client: Any,
    arn: str,
    on_step: Callable[[StepState], None] | None = None,
    *,
    poll_seconds: float = 1.0,
    deadline_seconds: float = 43200.0,
) -> Outcome:
    """Wait until the run has ended.

    Args:
        on_step: called once for each change of a step's status.
        deadline_seconds: of real time.

    Raises:
        OutcomeUnknown: the run is still going at the deadline. It goes on; only the watching ends.
    """
    seen: dict[str, str] = {}
    end = time.monotonic() + deadline_seconds
    while True:
        description = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        status = str(description["PipelineExecutionStatus"])
        states = steps(client, arn)  # after the status: at the end, every step is in its last state
        for state in states:
            if seen.get(state.name) != state.status:
                seen[state.name] = state.status
                if on_step:
                    on_step(state)
        if status in ENDED:
            return Outcome(arn=arn, status=status, failure_reason=str(description.get("FailureReason", "")), steps=states)
        if time.monotonic() > end:
            raise OutcomeUnknown(f"the run has not ended within {deadline_seconds:.0f} s", where=arn)
        time.sleep(poll_seconds)


def explain(client: Any, outcome: Outcome) -> LockstepError:
    """The error of a run that did not succeed: what the gates or the failed job said, else the service's words."""
    if outcome.refusal is not None:
        return GateRefused(
            outcome.refusal.removeprefix("Gates refused: "),
            where=outcome.arn,
            remedy="Better the candidate. What it must show is in its workload's gates.yaml, and in `gates.thresholds` of the stack file.",
        )
    for step in outcome.steps:
        if step.status != "Failed":
            continue
        said = parse_exit_message(_exit_message(client, step))
        if isinstance(said, LockstepError):
            return type(said)(f"step {step.name}: {said.message}", where=said.where or outcome.arn, remedy=said.remedy)
        return LockstepError(f"step {step.name} failed: {step.reason or outcome.failure_reason or 'no reason given'}", where=outcome.arn)
    return LockstepError(f"the run ended as {outcome.status}: {outcome.failure_reason or 'no reason given'}", where=outcome.arn)


def registered_package(client: Any, outcome: Outcome) -> str | None:
    """ARN of the model package that the run registered, or None. The register job leaves it as its exit message."""
    step = outcome.step("Register")
    job = (step.metadata.get("ProcessingJob") or {}).get("Arn") if step and step.status == "Succeeded" else None
    if job is None:
        return None
    message = client.describe_processing_job(ProcessingJobName=job.rsplit("/", 1)[-1]).get("ExitMessage", "")
    return message.strip() or None


def _exit_message(client: Any, step: StepState) -> str | None:
    job = (step.metadata.get("ProcessingJob") or {}).get("Arn")
    if job is None:
        return None
    return str(client.describe_processing_job(ProcessingJobName=job.rsplit("/", 1)[-1]).get("ExitMessage", ""))


def _state(step: dict[str, Any]) -> StepState:
    cached = step.get("CacheHitResult") or {}
    return StepState(
        name=str(step["StepName"]),
        type=next(iter(step.get("Metadata") or {}), ""),
        status=str(step["StepStatus"]),
        reason=str(step.get("FailureReason", "")),
        cache_hit=bool(cached.get("SourcePipelineExecutionArn")),
        metadata=step.get("Metadata") or {},
    )
