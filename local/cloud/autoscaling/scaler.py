"""The scaling itself: on the cloud's clock, every policy's alarms are looked at and variants resized."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any

from local.cloud.aws_errors import CloudError
from local.cloud.cloudwatch.statistics import statistic

from .backend import Scaling, ScalingPolicy, Target
from .tracking import Situation, decide

if TYPE_CHECKING:
    from local.cloud.context import Cloud

log = logging.getLogger(__name__)

PERIOD = 60
SHORTEST_PAUSE = 0.25
"""Real seconds between two looks."""


class Scaler:
    """Scales the variants of all accounts of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._scalings: dict[tuple[str, str], Scaling] = {}

    def of(self, account_id: str, region: str) -> Scaling:
        """Application Auto Scaling of an account and region."""
        with self._lock:
            found = self._scalings.get((account_id, region))
            if found is None:
                found = self._scalings[account_id, region] = Scaling(account_id, region)
            return found

    def run(self) -> None:
        """Looks at all policies every minute of cloud time, until the cloud closes."""
        clock, closing = self._cloud.clock, self._cloud.closing
        while not closing.wait(SHORTEST_PAUSE):
            if not clock.wait_until((clock.time() // PERIOD + 1) * PERIOD, closing):
                return
            self.look()

    def look(self) -> None:
        """Applies every policy once."""
        with self._lock:
            scalings = list(self._scalings.values())
        for scaling in scalings:
            for policy in list(scaling.policies.values()):
                try:
                    self._apply(scaling, policy)
                except CloudError as error:
                    log.info("policy %s was not applied: %s", policy.name, error.message)
                except Exception:
                    log.exception("policy %s could not be applied", policy.name)

    def _apply(self, scaling: Scaling, policy: ScalingPolicy) -> None:
        from local.cloud.sagemaker.backend import backends

        target = scaling.targets.get(policy.resource_id)
        backend = backends[scaling.account_id][scaling.region]
        record = backend.endpoints.get(target.endpoint) if target else None
        if target is None or record is None or record.status != "InService":
            return
        situation = self._situation(scaling, policy, target, record.variants[target.variant].desired_count)
        wanted = decide(policy.tracking, situation)
        if wanted == situation.current:
            return
        outward = wanted > situation.current
        if target.suspended.get("DynamicScalingOutSuspended" if outward else "DynamicScalingInSuspended"):
            return
        change = {"VariantName": target.variant, "DesiredInstanceCount": wanted}
        backend.update_endpoint_weights_and_capacities({"EndpointName": target.endpoint, "DesiredWeightsAndCapacities": [change]})
        if outward:
            target.last_out = situation.now
        else:
            target.last_in = situation.now
        log.info("%s: %d -> %d instances", target.resource_id, situation.current, wanted)
        scaling.activities.append(_activity(policy, situation, wanted))

    def _situation(self, scaling: Scaling, policy: ScalingPolicy, target: Target, current: int) -> Situation:
        now = self._cloud.clock.time()
        metric, wanted = policy.metric
        end = int(now // PERIOD) * PERIOD
        values = [
            statistic(a, wanted) for i in (1, 2, 3) if (a := scaling.room.store.read(metric, end - i * PERIOD, end - (i - 1) * PERIOD))
        ]
        alarms = scaling.room.alarms
        high, low = alarms.get(policy.high), alarms.get(policy.low)
        return Situation(
            now,
            current,
            target.minimum,
            target.maximum,
            next((v for v in values if v is not None), None),
            high is not None and high.state == "ALARM",
            low is not None and low.state == "ALARM",
            target.last_out,
            target.last_in,
        )


def _activity(policy: ScalingPolicy, situation: Situation, wanted: int) -> dict[str, Any]:
    outward = wanted > situation.current
    alarm = policy.high if outward else policy.low
    return {
        "ActivityId": str(uuid.uuid4()),
        "ServiceNamespace": "sagemaker",
        "ResourceId": policy.resource_id,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "Description": f"Setting desired instance count to {wanted}.",
        "Cause": f"monitor alarm {alarm} in state ALARM triggered policy {policy.name}",
        "StartTime": situation.now,
        "EndTime": situation.now,
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker.",
    }
