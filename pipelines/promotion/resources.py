"""What a release makes before it asks for traffic: made if missing, adopted if identical, never overwritten."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import ConflictError, LockstepError, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import render
from pipelines.promotion.decisions import EndpointView
from pipelines.promotion.pace import Patience
from pipelines.promotion.plan import Job, Plan
from pipelines.promotion.seam import Aws, already_exists

_ALARM_PATIENCE_SECONDS = 600
_READS_OF_WHAT_IS_THERE = 5


def view_of(described: dict[str, Any]) -> EndpointView:
    """DescribeEndpoint's answer, reduced to what decisions need."""
    pending = described.get("PendingDeploymentSummary") or {}
    variants = pending.get("ProductionVariants") or [{}]
    statuses = sorted(variants[0].get("VariantStatus") or [{}], key=lambda status: _seconds(status.get("StartTime")))
    rollback = (described.get("LastDeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    live = described.get("ProductionVariants") or [{}]
    return EndpointView(
        status=described["EndpointStatus"],
        config=described.get("EndpointConfigName", ""),
        pending_config=pending.get("EndpointConfigName"),
        stage=statuses[-1].get("Status"),
        stage_started=_seconds(statuses[-1].get("StartTime")) or None,
        last_rollback_alarms=frozenset(alarm["AlarmName"] for alarm in rollback.get("Alarms") or []),
        desired_count=live[0].get("DesiredInstanceCount"),
        failure_reason=described.get("FailureReason"),
        modified=_seconds(described.get("LastModifiedTime")),
    )


def _seconds(time: object) -> float:
    return time.timestamp() if isinstance(time, datetime) else 0.0


def ensure(aws: Aws, outputs: EnvironmentOutputs, plan: Plan, job: Job, pause: Callable[[], None]) -> None:
    """Model, endpoint config, alarms.

    Raises:
        ConflictError: something by one of the names exists and differs.
    """
    tags = render.tags(outputs, promotion=job.promotion, model_package_arn=job.model_package_arn)
    _adopt(
        "model",
        plan.model["ModelName"],
        plan.model,
        lambda: aws.model(plan.model["ModelName"]),
        lambda: aws.create_model(plan.model, tags),
        pause,
    )
    _adopt(
        "endpoint config",
        plan.target,
        plan.endpoint_config,
        lambda: aws.endpoint_config(plan.target),
        lambda: aws.create_endpoint_config(plan.endpoint_config, tags),
        pause,
    )
    existing = aws.alarms(alarm["AlarmName"] for alarm in plan.alarms)
    for alarm in plan.alarms:
        name = alarm["AlarmName"]
        _adopt("alarm", name, alarm, lambda name=name: existing.get(name), lambda alarm=alarm: aws.put_alarm(alarm, tags), pause)  # type: ignore[misc]


def _adopt(
    kind: str, name: str, wanted: dict[str, Any], read: Callable[[], Any], create: Callable[[], None], pause: Callable[[], None]
) -> None:
    found = read()
    if found is None:
        try:
            create()
            return
        except ClientError as error:
            if not already_exists(error):
                raise
            for _ in range(_READS_OF_WHAT_IS_THERE):
                if (found := read()) is not None:
                    break
                pause()
    if different := render.differences(wanted, found):
        raise ConflictError(
            f"a {kind} by this promotion's name exists and differs in {', '.join(different)}",
            where=f"{kind} {name}",
            remedy="Find out who made it and delete it; a promotion adopts only what it would make itself.",
        )


def look(aws: Aws, outputs: EnvironmentOutputs) -> EndpointView:
    """The endpoint as it is now.

    Raises:
        PreflightError: there is none.
    """
    described = aws.endpoint(outputs.endpoint.name)
    if described is None:
        raise PreflightError(
            "there is no such endpoint",
            where=f"endpoint {outputs.endpoint.name}",
            remedy="`pulumi up --refresh` makes it, then `lockstep restore` brings the last release back.",
        )
    return view_of(described)


def refuse_bad_alarms(aws: Aws, outputs: EnvironmentOutputs) -> None:
    """The endpoint's own alarms, looked at once: none may be missing or in ALARM. One that is new, and has no state yet, may pass."""
    found = aws.alarms(outputs.endpoint.alarm_names)
    for name in outputs.endpoint.alarm_names:
        _refuse_bad(name, found.get(name))


def check_alarms(
    aws: Aws, outputs: EnvironmentOutputs, *, may_ring: bool, pause: Callable[[], None], heartbeat: Callable[[], None]
) -> list[str]:
    """The endpoint's own alarms must exist and be OK first: one in ALARM would undo the release, a missing one protects nobody.

    Args:
        may_ring: of an operation that brings back what served before, which is asked for because they ring. Those are returned, and can't
            guard it.
    """
    names = outputs.endpoint.alarm_names
    if not names:
        raise PreflightError("the environment names no alarms of the endpoint", where=outputs.endpoint.name, remedy="Run `pulumi up`.")
    found = aws.alarms(names) if may_ring else {}
    ringing = [name for name in names if found.get(name, {}).get("StateValue") == "ALARM"]
    for name in ringing:
        _refuse_bad(name, {**found[name], "StateValue": "OK"})
    await_ok(aws, [name for name in names if name not in ringing], pause, heartbeat)
    return ringing


def await_ok(aws: Aws, names: Iterable[str], pause: Callable[[], None], heartbeat: Callable[[], None]) -> None:
    """Wait until every alarm is OK. An alarm that is new has no state for a minute; that is no health either.

    Raises:
        PreflightError: one does not exist, is in ALARM, or has still no state after ten minutes of the service.
    """
    wanted = list(names)
    patience = Patience(aws, _ALARM_PATIENCE_SECONDS)
    while True:
        found = aws.alarms(wanted)
        for name in wanted:
            _refuse_bad(name, found.get(name))
        unsettled = [name for name in wanted if found[name]["StateValue"] != "OK"]
        if not unsettled:
            return
        if patience.spent():
            raise PreflightError(
                f"it is {found[unsettled[0]]['StateValue']}, not OK",
                where=f"alarm {unsettled[0]}",
                remedy="An alarm without data is no health: send traffic, or let missing data count as not breaching.",
            )
        pause()
        heartbeat()


def _refuse_bad(name: str, alarm: dict[str, Any] | None) -> None:
    problem: LockstepError | None = None
    if alarm is None:
        problem = PreflightError(
            "the alarm does not exist", where=f"alarm {name}", remedy="Run `pulumi up --refresh`; a release needs it for auto-rollback."
        )
    elif alarm["StateValue"] == "ALARM":
        problem = PreflightError(
            f"it is in ALARM: {alarm.get('StateReason') or 'no reason given'}",
            where=f"alarm {name}",
            remedy="Bring the endpoint back to health first; a release would be rolled back at once.",
        )
    elif not alarm.get("ActionsEnabled", True):
        problem = PreflightError("its actions are disabled", where=f"alarm {name}", remedy="Enable them (`pulumi up --refresh`).")
    if problem is not None:
        raise problem


def check_variant(aws: Aws, outputs: EnvironmentOutputs, view: EndpointView) -> None:
    """Blue-green needs the same variant names in the old and the new config."""
    live = aws.endpoint_config(view.config)
    if live is None:
        raise PreflightError(
            "the live endpoint config was deleted, so the service could not roll back",
            where=f"endpoint config {view.config}",
            remedy="Find out who deleted it. `pulumi up` with a replaced endpoint, then `lockstep restore`, mends it.",
        )
    names = [variant["VariantName"] for variant in live["ProductionVariants"]]
    if names != [outputs.serving.variant_name]:
        raise PreflightError(
            f"it has variants {names}, the serving spec {outputs.serving.variant_name}",
            where=f"endpoint config {view.config}",
            remedy="A blue-green update keeps variant names; change the spec back.",
        )


def way_back(outputs: EnvironmentOutputs) -> dict[str, Any]:
    return render.revert_config(outputs.rollout)
