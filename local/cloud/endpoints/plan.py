"""Pure: the steps of a deployment, from its DeploymentConfig and the sizes of the two fleets.

Source: the SageMaker developer guide, "Deployment guardrails" (blue/green with all-at-once, canary and linear shifting; rolling).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .switches import DEFAULTS, Switches

Counts = dict[str, int]
"""Instances by variant name."""


@dataclass(frozen=True)
class Stage:
    """One shift of traffic and the bake that follows.

    `green` and `blue` are the instances of each variant that take traffic during the stage. `bake` is in cloud seconds. `provision`
    are the green instances that have to run before the shift, and `retire` the blue ones that are deleted after the bake: they differ
    from stage to stage only when an endpoint is updated in batches (rolling). `message` is what DescribeEndpoint says in the bake.
    """

    green: Counts
    blue: Counts
    provision: Counts
    retire: Counts
    bake: float
    message: str

    def share(self, variant: str) -> float:
        """The share of a variant's traffic that green takes."""
        green, blue = self.green.get(variant, 0), self.blue.get(variant, 0)
        return green / (green + blue) if green + blue else 0.0


@dataclass(frozen=True)
class Plan:
    """A whole deployment. The alarms are looked at from the first shift until blue is deleted."""

    kind: str
    stages: tuple[Stage, ...]
    alarms: tuple[str, ...]
    timeout: float | None
    rollback_batch: Mapping[str, Any] | None = None


def policy_of(config: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
    """The kind of a deployment (ALL_AT_ONCE, CANARY, LINEAR, ROLLING) and its policy; none means blue/green all at once."""
    config = config or {}
    if config.get("RollingUpdatePolicy"):
        return "ROLLING", config["RollingUpdatePolicy"]
    policy = config.get("BlueGreenUpdatePolicy") or {}
    return (policy.get("TrafficRoutingConfiguration") or {}).get("Type", "ALL_AT_ONCE"), policy


def alarms_of(config: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the alarms that roll a deployment back."""
    return tuple(a["AlarmName"] for a in ((config or {}).get("AutoRollbackConfiguration") or {}).get("Alarms") or [])


def size(capacity: Mapping[str, Any], total: int, rounding: str) -> int:
    """A capacity ({Type, Value}) as instances of a variant that has `total`: at least one, at most all."""
    value = int(capacity["Value"])
    if capacity["Type"] == "INSTANCE_COUNT":
        return max(1, min(value, total))
    exact = total * value / 100
    rounded = {"nearest": math.floor(exact + 0.5), "ceil": math.ceil(exact - 1e-9), "floor": math.floor(exact + 1e-9)}[rounding]
    return max(1, min(rounded, total))


def plan(config: Mapping[str, Any] | None, blue: Counts, green: Counts, switches: Switches = DEFAULTS) -> Plan:
    """The plan of a deployment that replaces `blue` by `green`; both have the same variants."""
    kind, policy = policy_of(config)
    alarms = alarms_of(config)
    timeout = policy.get("MaximumExecutionTimeoutInSeconds")
    if kind == "ROLLING":
        stages = _rolling(policy, blue, green, switches)
        return Plan(kind, stages, alarms, timeout, policy.get("RollbackMaximumBatchSize"))
    return Plan(kind, _blue_green(kind, policy, blue, green, switches), alarms, timeout)


def _blue_green(kind: str, policy: Mapping[str, Any], blue: Counts, green: Counts, switches: Switches) -> tuple[Stage, ...]:
    routing = policy.get("TrafficRoutingConfiguration") or {}
    interval, termination = float(routing.get("WaitIntervalInSeconds") or 0), float(policy.get("TerminationWaitInSeconds") or 0)
    stages: list[Stage] = []
    shifts = _shifts(kind, routing, green, switches)
    for index, active in enumerate(shifts, 1):
        last = index == len(shifts)
        left = {v: 0 if last else _remaining(blue[v], active[v], green[v]) for v in blue}
        if last and switches.last_bake == "termination":
            bake, name = termination, "TerminationWaitInSeconds"
        elif last:
            bake, name = interval + termination, "WaitIntervalInSeconds + TerminationWaitInSeconds"
        else:
            bake, name = interval, "WaitIntervalInSeconds"
        capacity = "full" if last else "canary" if kind == "CANARY" else "partial"
        message = f"Baking for {bake:g} seconds ({name}) with traffic enabled on {capacity} capacity of {sum(active.values())} instance(s)."
        stages.append(Stage(active, left, dict(green), dict(blue) if last else {}, bake, message))
    return tuple(stages)


def _shifts(kind: str, routing: Mapping[str, Any], green: Counts, switches: Switches) -> list[Counts]:
    rounding = switches.percent_rounding
    if kind == "CANARY":
        canary = {v: size(routing["CanarySize"], n, rounding) for v, n in green.items()}
        return [canary, dict(green)]
    if kind == "LINEAR":
        step = routing["LinearStepSize"]
        count = (
            math.ceil(100 / step["Value"])
            if step["Type"] == "CAPACITY_PERCENT"
            else max(math.ceil(n / size(step, n, rounding)) for n in green.values())
        )
        shifts: list[Counts] = []
        for index in range(1, count + 1):
            shift = {v: n if index == count else _linear(step, n, index, rounding) for v, n in green.items()}
            shifts.append(shift)
        return shifts
    return [dict(green)]


def _linear(step: Mapping[str, Any], total: int, index: int, rounding: str) -> int:
    if step["Type"] == "INSTANCE_COUNT":
        return min(total, size(step, total, rounding) * index)
    return size({"Type": "CAPACITY_PERCENT", "Value": min(100, step["Value"] * index)}, total, rounding)


def _remaining(blue: int, active: int, green: int) -> int:
    """Blue instances that keep traffic: an equal share is deactivated, but one stays until the last shift."""
    return max(1, blue - math.floor(blue * active / green + 0.5)) if blue else 0


def _rolling(policy: Mapping[str, Any], blue: Counts, green: Counts, switches: Switches) -> tuple[Stage, ...]:
    batch = {v: size(policy["MaximumBatchSize"], max(n, blue.get(v, 0)), switches.percent_rounding) for v, n in green.items()}
    wait = float(policy.get("WaitIntervalInSeconds") or 0)
    count = max(math.ceil(max(green[v], blue.get(v, 0)) / batch[v]) for v in green)
    stages: list[Stage] = []
    for index in range(1, count + 1):
        up = {v: n if index == count else min(n, batch[v] * index) for v, n in green.items()}
        left = {v: 0 if index == count else max(0, n - batch[v] * index) for v, n in blue.items()}
        before = {v: n if index == 1 else max(0, n - batch[v] * (index - 1)) for v, n in blue.items()}
        retire = {v: before[v] - left[v] for v in blue}
        message = f"Baking for {wait:g} seconds (WaitIntervalInSeconds) with traffic enabled on {sum(up.values())} new instance(s)."
        stages.append(Stage(up, left, dict(up), retire, wait, message))
    return tuple(stages)
