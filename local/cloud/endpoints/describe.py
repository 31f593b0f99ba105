"""What DescribeEndpoint returns."""

from __future__ import annotations

from typing import Any

from .fleet import Fleet
from .records import ConfigRecord, EndpointRecord, Status, VariantState
from .serving import Serving


def describe(record: EndpointRecord, serving: Serving) -> dict[str, Any]:
    """An endpoint: what serves, and in PendingDeploymentSummary what it is becoming."""
    with serving.lock:
        result: dict[str, Any] = {
            "EndpointName": record.name,
            "EndpointArn": record.arn,
            "EndpointConfigName": record.config_name,
            "EndpointStatus": record.status,
            "CreationTime": record.created,
            "LastModifiedTime": record.modified,
        }
        if record.status not in ("Creating", "Failed"):
            statuses = record.statuses if record.pending is None else {}
            result["ProductionVariants"] = [_variant(s, record.config, serving.fleet, statuses.get(n)) for n, s in record.variants.items()]
        if record.failure_reason:
            result["FailureReason"] = record.failure_reason
        if record.deployment_config:
            result["LastDeploymentConfig"] = record.deployment_config
        capture = record.config.given.get("DataCaptureConfig")
        if capture:
            result["DataCaptureConfig"] = _capture(capture, record.status)
        if record.pending is not None:
            pending = record.pending
            result["PendingDeploymentSummary"] = {
                "EndpointConfigName": pending.config.name,
                "StartTime": pending.start,
                "ProductionVariants": [
                    _variant(s, pending.config, serving.green, pending.statuses.get(n), pending=True) for n, s in pending.variants.items()
                ],
            }
        return result


def _variant(
    state: VariantState, config: ConfigRecord, fleet: Fleet | None, status: Status | None, pending: bool = False
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "VariantName": state.name,
        "CurrentWeight": state.current_weight,
        "DesiredWeight": state.desired_weight,
        "CurrentInstanceCount": state.current_count,
        "DesiredInstanceCount": state.desired_count,
    }
    given = config.variants.get(state.name, {})
    if pending:
        result |= {k: given[k] for k in ("InstanceType", "AcceleratorType") if k in given}
    result |= {k: given[k] for k in ("ManagedInstanceScaling", "RoutingConfig") if k in given}
    if fleet is not None and state.name in fleet.resolved_images:
        specified, resolved = fleet.resolved_images[state.name]
        result["DeployedImages"] = [{"SpecifiedImage": specified, "ResolvedImage": resolved, "ResolutionTime": fleet.resolved_at}]
    if status is not None:
        result["VariantStatus"] = [status.describe()]
    return result


def _capture(config: dict[str, Any], status: str) -> dict[str, Any]:
    enabled = config.get("EnableCapture", True)
    result = {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled and status != "Creating" else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
    }
    # DataCaptureConfigSummary requires KmsKeyId; without a key AWS answers an empty one.
    return result | {"KmsKeyId": config.get("KmsKeyId", "")}
