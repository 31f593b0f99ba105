"""CloudWatch: metrics kept as one-minute aggregates, and metric alarms evaluated from them on the cloud's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.cloud.context import Cloud


def install(cloud: Cloud) -> None:
    """Gives a starting cloud its metrics."""
    from .service import CloudWatch

    service = CloudWatch(cloud)
    cloud.metrics = service
    cloud.shutdown_hooks.append(service.close)
