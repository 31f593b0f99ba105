"""Is the new fleet well? Probes while it bakes, a minimum of requests, and a check through the endpoint afterwards.

AWS rolls back on alarms alone, and an alarm without data is no alarm. So what the alarms can't see is turned into one: the release's veto
alarm watches a metric that this module puts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from infra.outputs import EnvironmentOutputs
from pipelines.promotion import render
from pipelines.promotion.decisions import EndpointView, verdict_due
from pipelines.promotion.names import ReleaseNames
from pipelines.promotion.pace import Patience
from pipelines.promotion.seam import Answer, Aws

_TRAFFIC_STAGES = frozenset({"ActivatingTraffic", "Baking"})
_PROBES_A_LOOK = 10
_UNANSWERED_SECONDS = 180
_GONE = "it was deleted while the release needed it"


class Watch:
    """Watches one rollout, look by look. `reasons` are what was found against it; `vetoed` that it must not go live for one of them."""

    def __init__(
        self,
        aws: Aws,
        outputs: EnvironmentOutputs,
        names: ReleaseNames,
        alarms: Sequence[str],
        probes: Sequence[dict[str, str]],
        since: float,
        heartbeat: Callable[[], None],
    ) -> None:
        self._aws = aws
        self._heartbeat = heartbeat
        self._outputs = outputs
        self._names = names
        self._alarms = alarms
        self._probes = probes
        self._since = since
        self._probed_until: float | None = None
        self._vetoed_at: float | None = None
        self.sent = 0
        self.failed = 0
        self.green_invocations = 0.0
        self.reasons: list[str] = []
        self.vetoed = False

    def look(self, view: EndpointView) -> None:
        """Judge green once, and veto the rollout if it is found wanting."""
        for name, fault in self._alarms_against().items():
            if fault == _GONE and view.pending_config is not None:
                self._veto(f"alarm {name}: {fault}", key=f"alarm {name}:")
            else:
                self._add(f"alarm {name}: {fault}", key=f"alarm {name}:")
        if view.stage in _TRAFFIC_STAGES:
            self._probe()
        if view.stage == "Baking" and not self.has_enough():
            self._count()
            bake = self._first_bake_seconds()
            late = verdict_due(stage=view.stage, stage_started=view.stage_started, wait_seconds=bake, now=self._aws.now)
            if late and not self.has_enough():
                minimum = self._outputs.rollout.minimum_green_invocations
                self._veto(f"the new fleet answered {self.green_invocations:.0f} requests, fewer than the {minimum} that a judgement needs")

    def _alarms_against(self) -> dict[str, str]:
        """What is wrong with the alarms that guard the rollout, by name."""
        names = self._alarms
        found = self._aws.alarms(names)
        ringing = {name: str(alarm.get("StateReason") or "in ALARM") for name, alarm in found.items() if alarm["StateValue"] == "ALARM"}
        return ringing | {name: _GONE for name in names if name not in found}

    def has_enough(self) -> bool:
        return self.green_invocations >= self._outputs.rollout.minimum_green_invocations

    def _first_bake_seconds(self) -> int:
        rollout = self._outputs.rollout
        return rollout.termination_wait_seconds if rollout.strategy == "ALL_AT_ONCE" else rollout.wait_interval_seconds

    def _count(self) -> None:
        self.green_invocations = self._aws.metric_sum(
            "AWS/SageMaker",
            "Invocations",
            {
                "EndpointName": self._outputs.endpoint.name,
                "VariantName": self._outputs.serving.variant_name,
                "EndpointConfigName": self._names.endpoint_config,
            },
            start=self._since,
            end=self._aws.now,
        )

    def _probe(self) -> None:
        now = self._aws.now
        first = self._probed_until is None
        passed = now - (self._probed_until or now)
        due = max(1 if first else 0, min(_PROBES_A_LOOK, int(passed * self._outputs.rollout.probe_requests_per_minute / 60)))
        if not due:
            return
        self._probed_until = now
        for _ in range(due):
            request = self._probes[self.sent % len(self._probes)]
            answer = self._aws.invoke(self._outputs.endpoint.name, body=request["body"], content_type=request["content_type"])
            self._heartbeat()
            if answer["status"] is None:
                return  # says nothing about green: asked again at the next look, and what stays unasked is missed in the count
            self.sent += 1
            if not answer["ok"]:
                self.failed += 1
                self._veto(f"a golden request failed with {answer['status']}: {answer['body'][:200]}", key="a golden request failed")

    def _veto(self, reason: str, key: str = "") -> None:
        self._add(reason, key=key)
        self.vetoed = True
        if self._vetoed_at is None or self._aws.now - self._vetoed_at >= 60:
            self._vetoed_at = self._aws.now
            self._aws.put_metric(render.VETO_NAMESPACE, render.VETO_METRIC, {"EndpointConfigName": self._names.endpoint_config}, 1.0)

    def _add(self, reason: str, key: str = "") -> None:
        if not any(known.startswith(key or reason) for known in self.reasons):
            self.reasons.append(reason)

    def faults_after(self, pause: Callable[[], None]) -> list[str]:
        """What is wrong once green has all the traffic: a veto that came too late for the service to heed it, alarms that ring or are
        gone, golden requests that fail or are not answered as at the evaluation, or too few requests in all. Metrics may be late, so the
        count is given three minutes; so is a service that throttles requests or fails before it asks the model."""
        if self.vetoed:
            return ["the service did not heed the veto in time"]
        faults = [f"alarm {name}: {fault}" for name, fault in self._alarms_against().items()]
        unanswered = Patience(self._aws, _UNANSWERED_SECONDS)
        for number, request in enumerate(self._probes):
            self.sent += 1
            answer = self._answer(request, unanswered, pause)
            if answer["status"] is None:
                faults.append(
                    f"golden request {number} got no answer, so nobody can tell what the new fleet answers: {answer['body'][:200]}"
                )
                return faults
            if not answer["ok"]:
                self.failed += 1
                faults.append(f"golden request {number} failed with {answer['status']}: {answer['body'][:200]}")
            elif not same_answer(answer["body"], request["answer"]):
                self.failed += 1
                given, expected = answer["body"][:80], request["answer"][:80]
                faults.append(f"golden request {number} was answered {given!r}; the evaluated artefact answers {expected!r}")
            if len(faults) >= 3:
                return faults
            self._heartbeat()
        patience = Patience(self._aws, 180)
        while not self.has_enough():
            self._count()
            if self.has_enough() or patience.spent():
                break
            pause()
            self._heartbeat()
        if not self.has_enough():
            faults.append(f"the new fleet answered {self.green_invocations:.0f} requests, too few for a judgement")
        return faults

    def _answer(self, request: dict[str, str], patience: Patience, pause: Callable[[], None]) -> Answer:
        """The answer to a golden request, asked for again while the service throttles or fails, until patience is spent."""
        while True:
            answer = self._aws.invoke(self._outputs.endpoint.name, body=request["body"], content_type=request["content_type"])
            if answer["status"] is not None or patience.spent():
                return answer
            pause()
            self._heartbeat()


def same_answer(given: str, expected: str) -> bool:
    """Equal as JSON with numbers within 1e-6, or else as text."""
    try:
        return _close(json.loads(given), json.loads(expected))
    except ValueError:
        return given.strip() == expected.strip()


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_close(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    return bool(a == b)
