"""One execution of a pipeline: a thread that starts steps as they become ready, each on a thread of its own.

Undocumented by AWS, and decided here: after a step failed, what runs is left to finish and nothing new starts, unless a step waits for just
that failure (a Trigger in its DependsOn).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import string
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.cloud.containers.runtime import runtime_of
from local.cloud.context import Cloud
from local.cloud.jobs.job import Job
from local.cloud.pipelines import work
from local.cloud.pipelines.caching import StepCache
from local.cloud.pipelines.definition import Definition, own_arguments
from local.cloud.pipelines.events import publish_execution, publish_step
from local.cloud.pipelines.expressions import Unresolved, resolve
from local.cloud.pipelines.policies import ALWAYS_RETRIED, RetryPolicy
from local.cloud.pipelines.schedule import next_steps
from local.cloud.pipelines.scope import ExecutionScope, iso
from local.cloud.pipelines.steprun import StepRun
from local.errors import RoleNotAssumable

log = logging.getLogger(__name__)

OVER = frozenset({"Succeeded", "Failed", "Stopped", "CompletedWithFailures"})
FAILURE = "Step failure: One or multiple steps failed."
UNLESS_SAID = RetryPolicy(ALWAYS_RETRIED, 1.0, 2.0, 5, None)


@dataclass(frozen=True)
class Order:
    """What an execution was started with. `parameters` are complete and typed, `given` as they came."""

    account: str
    region: str
    pipeline_name: str
    pipeline_arn: str
    role_arn: str
    definition_text: str
    definition: Definition
    parameters: Mapping[str, Any]
    given: list[dict[str, str]]
    started_by: Mapping[str, Any]


class Execution:
    """A running or ended execution. Its condition guards all of its state; calls over HTTP are made without it."""

    def __init__(
        self, cloud: Cloud, order: Order, cache: StepCache, find_job: Callable[[str, str], Job], request: Mapping[str, Any]
    ) -> None:
        self.cloud = cloud
        self.order = order
        self.job = find_job
        self.execution_id = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
        self.arn = f"{order.pipeline_arn}/execution/{self.execution_id}"
        self.created = self.modified = cloud.clock.now()
        self.display_name: str = request.get("PipelineExecutionDisplayName") or f"execution-{int(self.created.timestamp() * 1000)}"
        self.description: str | None = request.get("PipelineExecutionDescription")
        self.parallelism: dict[str, int] | None = request.get("ParallelismConfiguration")
        self.status = "Executing"
        self.failure_reason: str | None = None
        self.stopping = threading.Event()
        self.done = threading.Event()
        self.runs = {name: StepRun(step) for name, step in order.definition.steps.items()}
        self._cache = cache
        self._changed = threading.Condition()
        self._stop_actions: dict[int, Callable[[], None]] = {}
        self._tokens = itertools.count()
        self._began: list[str] = []

    @property
    def sagemaker(self) -> Any:
        return runtime_of(self.cloud).client("sagemaker", self.order.account, self.order.region, self.order.role_arn)

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    def start(self) -> None:
        """Begin, or after a retry, go on."""
        publish_execution(self, None)
        threading.Thread(target=self._coordinate, name=f"pipeline-{self.execution_id}", daemon=True).start()

    def stop(self) -> None:
        """Ask the running steps to stop, and start no more."""
        with self._changed:
            if self.status != "Executing":
                return
            self._enter("Stopping")
            self.stopping.set()
            actions = list(self._stop_actions.values())
            self._changed.notify_all()
        publish_execution(self, "Executing")
        for action in actions:
            action()

    def retry(self) -> None:
        """Run again what failed or was stopped, and what never came to run; keep what succeeded."""
        with self._changed:
            previous = self.status
            for name, run in self.runs.items():
                if run.status != "Succeeded":
                    self.runs[name] = StepRun(run.step)
            self._began = [name for name in self._began if self.runs[name].status]
            self.stopping.clear()
            self.done.clear()
            self.failure_reason = None
            self._enter("Executing")
        publish_execution(self, previous)
        threading.Thread(target=self._coordinate, name=f"pipeline-{self.execution_id}", daemon=True).start()

    def on_stop(self, action: Callable[[], None]) -> Callable[[], None]:
        with self._changed:
            token = next(self._tokens)
            self._stop_actions[token] = action
            late = self.stopping.is_set()
        if late:
            action()
        return lambda: self._forget(token)

    def steps_in_order(self) -> list[dict[str, Any]]:
        """The steps that began, first to last."""
        with self._changed:
            return [self.runs[name].summary() for name in self._began]

    def wake(self) -> None:
        """Look again at what can run: parallelism has changed, or the cloud closes."""
        with self._changed:
            self._changed.notify_all()

    def _forget(self, token: int) -> None:
        with self._changed:
            self._stop_actions.pop(token, None)

    def _enter(self, status: str) -> None:
        self.status = status
        self.modified = self.cloud.clock.now()

    def _coordinate(self) -> None:
        while True:
            with self._changed:
                if self.cloud.closing.is_set():
                    return
                for run in self._ready():
                    run.status, run.started = "Starting", self.cloud.clock.now()
                    self._began.append(run.step.name)
                    threading.Thread(target=self._run_step, args=(run,), name=f"step-{run.step.name}", daemon=True).start()
                if not self._running():
                    break
                self._changed.wait()
        self._finish()

    def _running(self) -> int:
        return sum(run.status in ("Starting", "Executing", "Stopping") for run in self.runs.values())

    def _ready(self) -> Iterator[StepRun]:
        if self.stopping.is_set():
            return
        limit = (self.parallelism or {}).get("MaxParallelExecutionSteps") or len(self.runs)
        for run in next_steps(self.runs):
            if self._running() >= limit:
                return
            yield run

    def _finish(self) -> None:
        with self._changed:
            failed = [run for run in self.runs.values() if run.status == "Failed"]
            ended_by = next((run for run in failed if run.step.type == "Fail"), None)
            handled = {d.step for run in self.runs.values() if run.status for d in run.step.dependencies if d.trigger in ("Failed", "Any")}
            previous = self.status
            if self.stopping.is_set():
                status = "Stopped"
            elif ended_by is not None or any(run.step.name not in handled for run in failed):
                status = "Failed"
            else:
                status = "CompletedWithFailures" if failed else "Succeeded"
            if status == "Failed":
                self.failure_reason = ended_by.failure_reason if ended_by is not None else FAILURE
            self._enter(status)
            self.done.set()
        publish_execution(self, previous)

    def _run_step(self, run: StepRun) -> None:
        reason = None
        try:
            self._move(run, "Executing")
            self._carry_out(run)
            status = "Succeeded"
        except work.StepStopped:
            status = "Stopped"
        except (work.StepFailed, Unresolved, RoleNotAssumable) as error:
            status, reason = "Failed", error.reason if isinstance(error, work.StepFailed) else f"ClientError: {error}"
        except Exception as error:
            log.exception("%s: the step %s failed", self.arn, run.step.name)
            status, reason = "Failed", f"InternalServerError: {type(error).__name__}. Its cause is in the log of the embedded cloud."
        if self.cloud.closing.is_set():
            return
        self._move(run, status, reason)

    def _move(self, run: StepRun, status: str, reason: str | None = None) -> None:
        with self._changed:
            previous, run.status, run.failure_reason = run.status, status, reason
            if run.is_settled:
                run.ended = self.cloud.clock.now()
            self._changed.notify_all()
        publish_step(self, run, previous)

    def _carry_out(self, run: StepRun) -> None:
        s3 = runtime_of(self.cloud).client("s3", self.order.account, self.order.region, self.order.role_arn)
        scope = ExecutionScope(self.order.parameters, self._variables(), self.runs, s3)
        arguments = resolve(own_arguments(run.step), scope)
        earlier = self._cache.find(run.step, arguments, self.cloud.clock.now())
        if earlier is not None:
            run.properties, run.metadata, run.cache_source = earlier.properties, earlier.metadata, earlier.execution_arn
            return
        outcome = self._with_retries(run, arguments)
        run.properties, run.metadata, run.outcome = outcome.properties, outcome.metadata or run.metadata, outcome.branch
        run.ended = self.cloud.clock.now()
        self._cache.keep(run, arguments, self.arn)

    def _with_retries(self, run: StepRun, arguments: Mapping[str, Any]) -> work.Outcome:
        clock = self.cloud.clock
        began = clock.time()
        while True:
            run.attempts += 1
            try:
                return work.run(run.step.type, run.step.name, arguments, self, lambda metadata: setattr(run, "metadata", metadata))
            except work.StepFailed as failure:
                policy = next((p for p in (*run.step.retries, UNLESS_SAID) if failure.kind in p.exceptions), None)
                delay = policy.delay(run.attempts, clock.time() - began) if policy else None
                if delay is None:
                    raise
            if not clock.wait_until(clock.time() + delay, self.stopping):
                raise work.StepStopped

    def _variables(self) -> dict[str, Any]:
        order = self.order
        return {
            "StartDateTime": iso(self.created),
            "CurrentDateTime": lambda: iso(self.cloud.clock.now()),
            "PipelineName": order.pipeline_name,
            "PipelineArn": order.pipeline_arn,
            "PipelineExecutionId": self.execution_id,
            "PipelineExecutionArn": self.arn,
        }

    def describe(self) -> dict[str, Any]:
        """The answer of DescribePipelineExecution."""
        with self._changed:
            answer = {
                "PipelineArn": self.order.pipeline_arn,
                "PipelineExecutionArn": self.arn,
                "PipelineExecutionDisplayName": self.display_name,
                "PipelineExecutionStatus": self.status,
                "PipelineExecutionDescription": self.description,
                "PipelineExperimentConfig": dict(self.order.definition.experiment) or None,
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "CreatedBy": self.order.started_by,
                "LastModifiedBy": self.order.started_by,
                "ParallelismConfiguration": self.parallelism,
                "RoleArn": self.order.role_arn,
            }
        return {name: value for name, value in answer.items() if value is not None}

    def change(self, request: Mapping[str, Any]) -> None:
        """What UpdatePipelineExecution may change."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._changed)
            self.display_name = request.get("PipelineExecutionDisplayName", self.display_name)
            self.description = request.get("PipelineExecutionDescription", self.description)
            self.parallelism = request.get("ParallelismConfiguration", self.parallelism)
            self.modified = self.cloud.clock.now()
            self._changed.notify_all()
