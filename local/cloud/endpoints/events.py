"""The events that SageMaker sends to EventBridge about endpoints."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .serving import Serving

log = logging.getLogger(__name__)


def endpoint_changed(serving: Serving) -> None:
    """SageMaker Endpoint State Change; the status is in upper snake case here, unlike in DescribeEndpoint."""
    _put(serving, "SageMaker Endpoint State Change", _detail(serving))


def deployment_changed(serving: Serving) -> None:
    """SageMaker Endpoint Deployment State Change: one for each step of a deployment."""
    record = serving.record
    detail = _detail(serving)
    with serving.lock:
        if record.pending is not None:
            detail["PendingDeploymentSummary"] = {
                "EndpointConfigName": record.pending.config.name,
                "StartTime": int(record.pending.start.timestamp() * 1000),
                "ProductionVariants": [
                    {"VariantName": name, "VariantStatus": [{"Status": s.status, "StatusMessage": s.message}]}
                    for name, s in record.pending.statuses.items()
                ],
            }
    _put(serving, "SageMaker Endpoint Deployment State Change", detail)


def _detail(serving: Serving) -> dict[str, Any]:
    record = serving.record
    with serving.lock:
        detail: dict[str, Any] = {
            "EndpointName": record.name,
            "EndpointArn": record.arn,
            "EndpointConfigName": record.config_name,
            "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record.status).upper(),
            "CreationTime": int(record.created.timestamp() * 1000),
            "LastModifiedTime": int(record.modified.timestamp() * 1000),
            "Tags": {t["Key"]: t["Value"] for t in record.tags},
        }
        if record.failure_reason:
            detail["FailureReason"] = record.failure_reason
    return detail


def _put(serving: Serving, kind: str, detail: dict[str, Any]) -> None:
    try:
        serving.cloud.events.put(serving.account, serving.region, "aws.sagemaker", kind, detail, [serving.record.arn])
    except Exception:
        log.exception("the event of endpoint %s could not be delivered", serving.record.name)
