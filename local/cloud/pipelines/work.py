"""What the steps of a pipeline do: each type calls the SageMaker API, with the rights of the pipeline's role.

A step's function gets its resolved arguments and returns what it left; it raises StepFailed with the reason and the kind of failure,
which decides whether a retry policy applies.
"""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local.cloud.jobs.job import Job
from local.cloud.pipelines.conditions import BadCondition, holds

NAME_LIMIT = 63


class StepFailed(Exception):
    """A step that ended badly; `kind` is the exception type that retry policies know, or None."""

    def __init__(self, reason: str, kind: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


class StepStopped(Exception):
    """A step that was stopped because its execution is."""


class Surroundings(Protocol):
    """What a step needs of its execution."""

    execution_id: str

    @property
    def sagemaker(self) -> Any:
        """A client with the rights of the pipeline's role."""

    @property
    def stopping(self) -> threading.Event: ...

    def job(self, kind: str, name: str) -> Job: ...

    def on_stop(self, action: Callable[[], None]) -> Callable[[], None]:
        """Have `action` called once when the execution is stopped; returns what takes that back."""


@dataclass
class Outcome:
    """What a step left: the answer of Describe, what the step listing shows, and the branch that a condition chose."""

    properties: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    branch: bool | None = None


def run(kind: str, name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    """Do the work of a step of type `kind`. `tell` gets the metadata as soon as it is known: a listing shows a job while it runs."""
    try:
        return WORK[kind](name, arguments, around, tell)
    except ClientError as error:
        raise _call_failed(error) from error
    except (BotoCoreError, BadCondition) as error:
        raise StepFailed(f"ClientError: {error}") from error


def _processing(name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    return _job("Processing", name, arguments, around, tell)


def _training(name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    return _job("Training", name, arguments, around, tell)


def _job(kind: str, step: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    client, lower = around.sagemaker, kind.lower()
    name = resource_name(around.execution_id, step, arguments.get(f"{kind}JobName"))
    answer = getattr(client, f"create_{lower}_job")(**{**arguments, f"{kind}JobName": name})
    metadata = {f"{kind}Job": {"Arn": answer[f"{kind}JobArn"]}}
    tell(metadata)
    job = around.job(kind, name)
    ended = threading.Event()
    take_back = around.on_stop(lambda: _stop(client, lower, kind, name))
    job.when_done(lambda _: ended.set())
    ended.wait()
    take_back()
    properties = _described(getattr(client, f"describe_{lower}_job")(**{f"{kind}JobName": name}))
    if job.status == "Completed":
        return Outcome(properties, metadata)
    if around.stopping.is_set() and job.status in ("Stopped", "InProgress", "Stopping"):
        raise StepStopped
    reason = job.failure_reason or f"the {lower} job {name} ended as {job.status}"
    raise StepFailed(f"ClientError: {reason}", _job_failure(reason))


def _stop(client: Any, lower: str, kind: str, name: str) -> None:
    try:
        getattr(client, f"stop_{lower}_job")(**{f"{kind}JobName": name})
    except ClientError as error:  # it ended by itself meanwhile
        if error.response["Error"]["Code"] != "ValidationException":
            raise


def _job_failure(reason: str) -> str | None:
    for prefix, kind in (
        ("InternalServerError", "SageMaker.JOB_INTERNAL_ERROR"),
        ("CapacityError", "SageMaker.CAPACITY_ERROR"),
        ("ResourceLimitExceeded", "SageMaker.RESOURCE_LIMIT"),
    ):
        if reason.startswith(prefix):
            return kind
    return None


def _condition(name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    branch = all(holds(condition) for condition in arguments["Conditions"])
    outcome = "True" if branch else "False"
    return Outcome({"Outcome": outcome}, {"Condition": {"Outcome": outcome}}, branch)


def _fail(name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    message = str(arguments.get("ErrorMessage", ""))
    tell({"Fail": {"ErrorMessage": message}})
    raise StepFailed(message)


def _model(name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    client = around.sagemaker
    model = resource_name(around.execution_id, name, arguments.get("ModelName"))
    arn = client.create_model(**{**arguments, "ModelName": model})["ModelArn"]
    return Outcome(_described(client.describe_model(ModelName=model)), {"Model": {"Arn": arn}})


def _register_model(name: str, arguments: Mapping[str, Any], around: Surroundings, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    client = around.sagemaker
    group = arguments.get("ModelPackageGroupName")
    if group and not str(group).startswith("arn:"):
        try:
            client.describe_model_package_group(ModelPackageGroupName=group)
        except ClientError:
            client.create_model_package_group(ModelPackageGroupName=group)
    arn = client.create_model_package(**arguments)["ModelPackageArn"]
    return Outcome(_described(client.describe_model_package(ModelPackageName=arn)), {"RegisterModel": {"Arn": arn}})


WORK: dict[str, Callable[[str, Mapping[str, Any], Surroundings, Callable[[dict[str, Any]], None]], Outcome]] = {
    "Processing": _processing,
    "Training": _training,
    "Condition": _condition,
    "Fail": _fail,
    "Model": _model,
    "RegisterModel": _register_model,
}


def resource_name(execution_id: str, step: str, prefix: str | None = None) -> str:
    """The name that SageMaker gives to what a step makes: pipelines-<execution>-<step>-<ten letters and digits>, 63 characters at most."""
    suffix = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(10))
    room = NAME_LIMIT - len(f"pipelines-{execution_id}--{suffix}")
    middle = (prefix or step).replace("_", "-")[:room].strip("-") or "step"
    return f"pipelines-{execution_id}-{middle}-{suffix}"


def _described(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _call_failed(error: ClientError) -> StepFailed:
    details = error.response["Error"]
    code, status = details.get("Code", ""), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    kind = None
    if "Throttl" in code:
        kind = "Step.THROTTLING"
    elif code == "ResourceLimitExceeded":
        kind = "SageMaker.RESOURCE_LIMIT"
    elif status >= 500 and status != 501:
        kind = "Step.SERVICE_FAULT"
    return StepFailed(
        f"ClientError: Failed to invoke sagemaker:{error.operation_name}. Error Details: {details.get('Message', code)}", kind
    )
