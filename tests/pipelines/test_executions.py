"""Starting and watching a run: each change is told once, and the end is told as it is."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import GateRefused, LockstepError, OutcomeUnknown, PreflightError
from pipelines import executions
from pipelines.executions import StepState
from pipelines.promotion.outcome import exit_message

ARN = "arn:aws:sagemaker:us-east-1:111111111111:pipeline/p/execution/x"


def step(name: str, status: str, reason: str = "", job: str = "") -> dict[str, Any]:
    metadata = {"ProcessingJob": {"Arn": f"arn:job/{job}"}} if job else {}
    return {"StepName": name, "StepStatus": status, "FailureReason": reason, "Metadata": metadata}


class Service:
    """A run that takes the states of a list, one each time it is asked; the last one stays."""

    def __init__(self, *states: tuple[str, list[dict[str, Any]]], message: str = "", reason: str = "") -> None:
        self.states, self.message, self.reason = list(states), message, reason

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, str]:
        return {"PipelineExecutionStatus": self.states[0][0], "FailureReason": self.reason}

    def get_paginator(self, _: str) -> Service:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        listed = self.states[0][1]
        if len(self.states) > 1:
            self.states.pop(0)
        return [{"PipelineExecutionSteps": [each]} for each in listed]

    def describe_processing_job(self, ProcessingJobName: str) -> dict[str, str]:
        return {"ExitMessage": self.message}


def test_each_change_of_a_step_is_told_once() -> None:
    service = Service(
        ("Executing", [step("A", "Executing")]),
        ("Executing", [step("A", "Executing")]),
        ("Executing", [step("A", "Succeeded"), step("B", "Executing")]),
        ("Succeeded", [step("A", "Succeeded"), step("B", "Succeeded")]),
    )
    told: list[tuple[str, str]] = []

    def tell(state: StepState) -> None:
        told.append((state.name, state.status))

    outcome = executions.watch(service, ARN, tell, poll_seconds=0)
    assert told == [("A", "Executing"), ("A", "Succeeded"), ("B", "Executing"), ("B", "Succeeded")]
    assert outcome.succeeded
    assert [state.name for state in outcome.steps] == ["A", "B"]


def test_a_run_that_does_not_end_in_time_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown, match="has not ended within 0 s") as caught:
        executions.watch(Service(("Executing", [])), ARN, poll_seconds=0, deadline_seconds=0)
    assert caught.value.exit_code == 5


def explain(service: Service) -> LockstepError:
    return executions.explain(service, executions.watch(service, ARN, poll_seconds=0))


def test_a_refusal_is_a_refusal_and_says_why() -> None:
    error = explain(Service(("Failed", [step("Gates", "Succeeded"), step("GatesRefused", "Failed", "Gates refused: fairness: 0.2 > 0.1")])))
    assert isinstance(error, GateRefused)
    assert error.message == "fairness: 0.2 > 0.1"
    assert "gates.yaml" in str(error.remedy)


def test_a_failed_job_speaks_for_itself() -> None:
    said = exit_message(PreflightError("the champion is missing", where="endpoint", remedy="restore it"))
    error = explain(Service(("Failed", [step("Champion", "Failed", "exit code 1", job="j")]), message=said))
    assert isinstance(error, PreflightError)
    assert (error.message, error.where, error.remedy) == ("step Champion: the champion is missing", "endpoint", "restore it")


def test_without_a_message_the_services_reason_is_told() -> None:
    error = explain(Service(("Failed", [step("Train", "Failed", "AlgorithmError: exit code 9")])))
    assert error.message == "step Train failed: AlgorithmError: exit code 9"
    assert explain(Service(("Stopped", []), reason="by hand")).message == "the run ended as Stopped: by hand"


def test_tokens_are_long_enough_and_depend_on_every_part() -> None:
    assert 32 <= len(executions.token("a")) <= 128
    assert executions.token("a", "b") != executions.token("a\nb", "")
