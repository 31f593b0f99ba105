"""Which steps of an execution may start, and which never will: a pure decision over the states of the steps."""

from __future__ import annotations

from collections.abc import Mapping

from local.cloud.pipelines.definition import Dependency
from local.cloud.pipelines.steprun import StepRun

YES, NOT_YET, NEVER = "yes", "not yet", "never"


def next_steps(runs: Mapping[str, StepRun]) -> list[StepRun]:
    """The steps that may start now, in the order of the definition. Marks as skipped those that can't run any more."""
    while _skip_some(runs):
        pass
    halted = _is_halted(runs)
    answer = []
    for run in runs.values():
        if run.status is None and not run.skipped and _verdict(run, runs) == YES and (not halted or _waits_for_failure(run, runs)):
            answer.append(run)
    return answer


def _skip_some(runs: Mapping[str, StepRun]) -> bool:
    changed = False
    for run in runs.values():
        if run.status is None and not run.skipped and _verdict(run, runs) == NEVER:
            run.skipped = changed = True
    return changed


def _verdict(run: StepRun, runs: Mapping[str, StepRun]) -> str:
    verdicts = [_met(dependency, runs[dependency.step]) for dependency in run.step.dependencies]
    if run.step.branch is not None:
        condition, side = run.step.branch
        decided = runs[condition]
        if decided.status == "Succeeded" and decided.outcome is not side:
            verdicts.append(NEVER)
    if NEVER in verdicts:
        return NEVER
    return NOT_YET if NOT_YET in verdicts else YES


def _met(dependency: Dependency, run: StepRun) -> str:
    if not run.is_settled:
        return NOT_YET
    if run.skipped:
        return NEVER
    wanted = {None: ("Succeeded",), "Failed": ("Failed",), "Stopped": ("Stopped",), "Any": ("Succeeded", "Failed", "Stopped")}
    return YES if run.status in wanted[dependency.trigger] else NEVER


def _is_halted(runs: Mapping[str, StepRun]) -> bool:
    """Whether a step has failed that no other waits to see fail."""
    handled = {d.step for run in runs.values() for d in run.step.dependencies if d.trigger in ("Failed", "Any")}
    return any(run.status == "Failed" and (run.step.type == "Fail" or run.step.name not in handled) for run in runs.values())


def _waits_for_failure(run: StepRun, runs: Mapping[str, StepRun]) -> bool:
    return any(d.trigger in ("Failed", "Any") and runs[d.step].status == "Failed" for d in run.step.dependencies)
