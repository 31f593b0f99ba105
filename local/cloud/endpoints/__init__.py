"""Endpoints: real serving processes behind sagemaker-runtime, and deployments with guardrails."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.cloud.context import Cloud
    from local.cloud.endpoints.serving import Serving

log = logging.getLogger(__name__)

USAGE_SECONDS = 60.0
"""Cloud seconds between two samples of the processes' CPU and memory."""

SHORTEST_PAUSE = 1.0
"""Real seconds between two samples."""


def install(cloud: Cloud) -> None:
    """Puts InvokeEndpoint on the fast path and samples the serving processes."""
    from local.cloud.endpoints.invoke import ROUTE, Invoker

    cloud.fast_routes.append((ROUTE, Invoker(cloud)))
    threading.Thread(target=_sample, args=(cloud,), name="endpoint-usage", daemon=True).start()

    def abandon() -> None:
        for serving in live(cloud):
            serving.abandon()

    cloud.shutdown_hooks.append(abandon)


def live(cloud: Cloud) -> list[Serving]:
    """All endpoints of all accounts that run now."""
    from local.cloud.sagemaker.backend import backends

    return [s for regions in list(backends.values()) for backend in list(regions.values()) for s in list(backend.servings.values())]


def _sample(cloud: Cloud) -> None:
    while not cloud.closing.wait(SHORTEST_PAUSE):
        now = cloud.clock.time()
        if not cloud.clock.wait_until((now // USAGE_SECONDS + 1) * USAGE_SECONDS, cloud.closing):
            return
        for serving in live(cloud):
            try:
                serving.sample_usage()
            except Exception:
                log.exception("the use of %s could not be sampled", serving.record.name)
