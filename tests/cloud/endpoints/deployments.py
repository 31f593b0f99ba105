"""Deployments for tests: a canary's config, and ways to await and to skip its stages without sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.cloud.endpoints.images import Site


def canary(wait: int = 240, termination: int = 60, value: int = 50, alarms: tuple[str, ...] = (), **extra: Any) -> dict[str, Any]:
    routing = {"Type": "CANARY", "WaitIntervalInSeconds": wait, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": value}}
    config: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination, **extra}
    }
    if alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": a} for a in alarms]}
    return config


def until(condition: Callable[[], Any], timeout: float = 90) -> Any:
    """Awaits a condition; the value it gave."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := condition():
            return found
        threading.Event().wait(0.02)
    raise AssertionError("the condition did not come true")


def baking(site: Site, name: str) -> Callable[[], Any]:
    def check() -> Any:
        pending = site.sagemaker.describe_endpoint(EndpointName=name).get("PendingDeploymentSummary")
        status = pending and pending["ProductionVariants"][0].get("VariantStatus")
        return pending if status and status[0]["Status"] == "Baking" else None

    return check


def skip_bakes(site: Site, name: str) -> None:
    """Moves the clock over every bake until the endpoint settles."""
    while not site.serving(name).idle.is_set():
        if site.serving(name).record.pending and baking(site, name)():
            site.cloud.clock.set(advance=3600)
        site.serving(name).idle.wait(0.02)
