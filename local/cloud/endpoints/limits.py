"""The rules of UpdateEndpoint that go beyond botocore's shapes, as the service checks them.

Each yields the text of a ValidationException.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .plan import policy_of

CANARY_MAXIMUM_PERCENT = 50
STEP_RANGE_PERCENT = (10, 50)
BATCH_RANGE_PERCENT = (5, 50)


def deployment_problems(config: Mapping[str, Any] | None, counts: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with a DeploymentConfig for a fleet of `counts` instances by variant."""
    if not config:
        return
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        yield "Only one update policy should be used: BlueGreenUpdatePolicy and RollingUpdatePolicy can't be specified together."
        return
    kind, policy = policy_of(config)
    if kind == "ROLLING":
        yield from _rolling(policy, counts)
    else:
        yield from _blue_green(kind, policy, counts)


def variant_problems(old: Mapping[str, Any], new: Mapping[str, Any], kind: str) -> Iterator[str]:
    """What is wrong with replacing one endpoint config by another under deployment guardrails; both map variant names to variants."""
    if set(old) != set(new):
        yield (
            "The production variant names of the new endpoint configuration must be the same as those of the existing one: "
            f"found {sorted(new)}, expected {sorted(old)}."
        )
    if kind == "ROLLING" and len(new) > 1:
        yield "RollingUpdatePolicy is not supported for endpoints with multiple production variants."


def _blue_green(kind: str, policy: Mapping[str, Any], counts: Mapping[str, int]) -> Iterator[str]:
    routing = policy.get("TrafficRoutingConfiguration") or {}
    canary, step = routing.get("CanarySize"), routing.get("LinearStepSize")
    if kind == "CANARY" and canary is None:
        yield "CanarySize must be specified when the traffic routing type is CANARY."
    if kind != "CANARY" and canary is not None:
        yield f"CanarySize can't be specified when the traffic routing type is {kind}."
    if kind == "LINEAR" and step is None:
        yield "LinearStepSize must be specified when the traffic routing type is LINEAR."
    if kind != "LINEAR" and step is not None:
        yield f"LinearStepSize can't be specified when the traffic routing type is {kind}."
    if kind == "CANARY" and canary is not None:
        yield from _within("CanarySize", canary, counts, 0, CANARY_MAXIMUM_PERCENT)
    if kind == "LINEAR" and step is not None:
        yield from _within("LinearStepSize", step, counts, *STEP_RANGE_PERCENT)


def _rolling(policy: Mapping[str, Any], counts: Mapping[str, int]) -> Iterator[str]:
    yield from _within("MaximumBatchSize", policy["MaximumBatchSize"], counts, *BATCH_RANGE_PERCENT)
    back = policy.get("RollbackMaximumBatchSize")
    if back is not None:
        yield from _within("RollbackMaximumBatchSize", back, counts, 0, 100)


def _within(name: str, capacity: Mapping[str, Any], counts: Mapping[str, int], low: int, high: int) -> Iterator[str]:
    """Checks a capacity against a range in percent; a count is held against the instances of every variant."""
    span = f"between {low}% and {high}%" if low else f"at most {high}%"
    if capacity["Type"] == "CAPACITY_PERCENT":
        if not low <= capacity["Value"] <= high:
            yield f"{name} must be {span} of the variant's total instance count: found {capacity['Value']}%."
        return
    for variant, total in counts.items():
        percent = 100 * capacity["Value"] / total if total else float("inf")
        if not low <= percent <= high:
            found = f"{capacity['Value']} of {total} instance(s) of variant {variant}"
            yield f"{name} must be {span} of the variant's total instance count: found {found}."
