"""Pure: how many instances a target-tracking policy wants.

Source: the Application Auto Scaling user guide, "Target tracking scaling policies" (scale out in proportion and at once, scale in
with care, cool-downs), and the alarms that the service creates for a policy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DEFAULT_COOLDOWN = 300.0
"""Seconds, for SageMaker variants [botocore: TargetTrackingScalingPolicyConfiguration]."""

SCALE_IN_SHARE = 0.9
"""The low alarm's threshold as a share of the target."""


@dataclass(frozen=True)
class Policy:
    """A target-tracking policy. Cool-downs in cloud seconds."""

    target: float
    scale_out_cooldown: float = DEFAULT_COOLDOWN
    scale_in_cooldown: float = DEFAULT_COOLDOWN
    scale_in: bool = True


@dataclass(frozen=True)
class Situation:
    """What is known at one moment. `metric` is the tracked value per instance, None without data; times are epoch seconds."""

    now: float
    current: int
    minimum: int
    maximum: int
    metric: float | None
    high: bool
    low: bool
    last_out: float | None = None
    last_in: float | None = None


def decide(policy: Policy, situation: Situation) -> int:
    """The number of instances to have; the present one when nothing is to be done."""
    s = situation
    bounded = min(max(s.current, s.minimum), s.maximum)
    if bounded != s.current:
        return bounded
    if s.metric is None:
        return s.current
    wanted = math.ceil(s.current * s.metric / policy.target - 1e-9)
    if s.high and wanted > s.current and _passed(s.now, s.last_out, policy.scale_out_cooldown):
        return min(wanted, s.maximum)
    calm = _passed(s.now, s.last_in, policy.scale_in_cooldown) and _passed(s.now, s.last_out, policy.scale_in_cooldown)
    if s.low and policy.scale_in and wanted < s.current and calm:
        return max(wanted, s.minimum, 1 if s.minimum > 0 else 0)
    return s.current


def _passed(now: float, last: float | None, cooldown: float) -> bool:
    return last is None or now - last >= cooldown
