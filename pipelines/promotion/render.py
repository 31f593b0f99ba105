"""The requests that a release makes, from the environment's specs. Pure: the same inputs give the same request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from infra.errors import ConfigError
from infra.outputs import EnvironmentOutputs, ReleaseAlarmSpec, RolloutSpec, ServingSpec
from pipelines.promotion.names import ReleaseNames

VETO_NAMESPACE = "Lockstep/Release"
VETO_METRIC = "Veto"

Request = dict[str, Any]


def spec_digest(spec: ServingSpec) -> str:
    """SHA-256 of a serving spec in canonical JSON: equal digests mean that a redeploy would change nothing."""
    text = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def tags(outputs: EnvironmentOutputs, *, promotion: str, model_package_arn: str) -> list[dict[str, str]]:
    """Who made a resource, for which promotion of which package. `model-package` is how a live model is traced to its package."""
    values = {
        "environment": outputs.environment,
        "project": outputs.project,
        "managed-by": "lockstep-promotion",
        "promotion": promotion,
        "model-package": model_package_arn,
    }
    return [{"Key": key, "Value": value} for key, value in values.items()]


def model(spec: ServingSpec, names: ReleaseNames, *, image: str, model_data_url: str) -> Request:
    """CreateModel. The image is named by digest and the artefact by content, so the model can't drift from what was gated."""
    return {
        "ModelName": names.model,
        "PrimaryContainer": {"Image": image, "ModelDataUrl": model_data_url, "Environment": dict(spec.environment)},
        "ExecutionRoleArn": spec.execution_role_arn,
        "VpcConfig": {"SecurityGroupIds": list(spec.security_group_ids), "Subnets": list(spec.subnet_ids)},
        "EnableNetworkIsolation": spec.enable_network_isolation,
    }


def endpoint_config(spec: ServingSpec, names: ReleaseNames, *, instance_count: int) -> Request:
    """CreateEndpointConfig. `instance_count` is the live fleet's for a release and the spec's for a redeploy."""
    capture = spec.data_capture
    request: Request = {
        "EndpointConfigName": names.endpoint_config,
        "ProductionVariants": [
            {
                "VariantName": spec.variant_name,
                "ModelName": names.model,
                "InitialInstanceCount": instance_count,
                "InstanceType": spec.instance_type,
                "InitialVariantWeight": 1.0,
                "ContainerStartupHealthCheckTimeoutInSeconds": spec.startup_timeout_seconds,
            }
        ],
        "DataCaptureConfig": {
            "EnableCapture": capture.enabled,
            "InitialSamplingPercentage": capture.sampling_percentage,
            "DestinationS3Uri": capture.destination_s3_uri,
            "KmsKeyId": capture.kms_key_arn,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {
                "CsvContentTypes": list(capture.csv_content_types),
                "JsonContentTypes": list(capture.json_content_types),
            },
        },
    }
    header = request["DataCaptureConfig"]["CaptureContentTypeHeader"]
    for key in [key for key, values in header.items() if not values]:
        del header[key]
    if not header:
        del request["DataCaptureConfig"]["CaptureContentTypeHeader"]
    if spec.volume_kms_key_arn:
        request["KmsKeyId"] = spec.volume_kms_key_arn
    return request


def alarms(spec: ReleaseAlarmSpec, names: ReleaseNames, *, endpoint: str, variant: str) -> list[Request]:
    """PutMetricAlarm for each alarm of a release's own green fleet.

    The dimension EndpointConfigName makes them see the green fleet alone. Missing data does not breach: before green gets traffic there is
    none; that green did get enough is checked apart (see `health`).
    """
    green = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": variant},
        {"Name": "EndpointConfigName", "Value": names.endpoint_config},
    ]
    watched = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": green,
        "Period": spec.period_seconds,
        "EvaluationPeriods": spec.evaluation_periods,
        "DatapointsToAlarm": spec.datapoints_to_alarm,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "ActionsEnabled": True,
    }
    return [
        {
            **watched,
            "AlarmName": names.error_alarm,
            "AlarmDescription": "Share of requests to the new fleet that ended in 5XX.",
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Average",
            "Threshold": spec.error_rate,
        },
        {
            **watched,
            "AlarmName": names.latency_alarm,
            "AlarmDescription": "p99 of the new fleet's model latency, in microseconds.",
            "MetricName": "ModelLatency",
            "ExtendedStatistic": "p99",
            "Threshold": spec.latency_p99_ms * 1000.0,
        },
        {
            "AlarmName": names.veto_alarm,
            "AlarmDescription": "The release step itself calls the rollout off: failed probes, or too few requests to the new fleet.",
            "Namespace": VETO_NAMESPACE,
            "MetricName": VETO_METRIC,
            "Dimensions": [{"Name": "EndpointConfigName", "Value": names.endpoint_config}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "ActionsEnabled": True,
        },
    ]


def check_rollout(rollout: RolloutSpec, *, instance_count: int, where: str) -> None:
    """Refuse a rollout that SageMaker would refuse, before anything is made (limits: SageMaker's API reference, DeploymentConfig)."""

    def wrong(message: str, remedy: str) -> ConfigError:
        return ConfigError(message, where=where, remedy=remedy)

    if (rollout.strategy == "ALL_AT_ONCE") != (rollout.step is None):
        raise wrong(f"strategy {rollout.strategy} with step {rollout.step}", "Give a step to CANARY and LINEAR, and none to ALL_AT_ONCE.")
    step = rollout.step
    if step is not None and step.type == "INSTANCE_COUNT" and not 1 <= step.value <= instance_count / 2:
        raise wrong(
            f"a step of {step.value} instance(s) is more than half of the fleet of {instance_count}",
            "Use CAPACITY_PERCENT or a larger fleet: a step may be at most 50 % of it.",
        )
    lowest = 10 if rollout.strategy == "LINEAR" else 1
    if step is not None and step.type == "CAPACITY_PERCENT" and not lowest <= step.value <= 50:
        raise wrong(f"a step of {step.value} % is outside {lowest}..50 %", "Choose a value in that range.")
    shifts = 1
    if rollout.strategy == "LINEAR" and step is not None:
        share = step.value if step.type == "CAPACITY_PERCENT" else 100.0 * step.value / instance_count
        shifts = int(-(-100 // share))
    waits = rollout.wait_interval_seconds * shifts + rollout.termination_wait_seconds
    if not 600 <= rollout.maximum_execution_timeout_seconds <= 28800:
        raise wrong(
            f"a time limit of {rollout.maximum_execution_timeout_seconds} s is outside 600..28800 s", "Choose a value in that range."
        )
    if waits >= rollout.maximum_execution_timeout_seconds:
        raise wrong(
            f"the bakes take {waits} s, but the whole deployment may take {rollout.maximum_execution_timeout_seconds} s",
            "Raise the time limit or shorten the bakes.",
        )


def deployment_config(rollout: RolloutSpec, alarm_names: tuple[str, ...]) -> Request:
    """UpdateEndpoint's DeploymentConfig. WaitIntervalInSeconds is required for ALL_AT_ONCE too."""
    routing: Request = {"Type": rollout.strategy, "WaitIntervalInSeconds": rollout.wait_interval_seconds}
    if rollout.step is not None:
        key = "CanarySize" if rollout.strategy == "CANARY" else "LinearStepSize"
        routing[key] = {"Type": rollout.step.type, "Value": rollout.step.value}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": rollout.termination_wait_seconds,
            "MaximumExecutionTimeoutInSeconds": rollout.maximum_execution_timeout_seconds,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarm_names]},
    }


def revert_config(rollout: RolloutSpec) -> Request:
    """DeploymentConfig of the way back: all traffic at once to a fleet that served before, no alarm that could hold it up."""
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": rollout.maximum_execution_timeout_seconds,
        }
    }


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where what exists differs from what is wanted. What the service adds of itself is no difference, nor is the order of a list."""
    if isinstance(wanted, dict):
        if not wanted and found is None:
            return []
        if not isinstance(found, dict):
            return [path]
        return [d for key in wanted for d in differences(wanted[key], found.get(key), f"{path}.{key}".lstrip("."))]
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return [path]
        if len(wanted) == 1:
            return differences(wanted[0], found[0], f"{path}[0]")
        lost = [index for index, item in enumerate(wanted) if all(differences(item, other) for other in found)]
        return [f"{path}[{index}]" for index in lost]
    return [] if wanted == found else [path]
