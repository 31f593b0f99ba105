"""Scalable targets and policies of SageMaker variants in one account and region; other namespaces are moto's."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from local.cloud import context
from local.cloud.aws_errors import CloudError, not_implemented
from local.cloud.cloudwatch.service import CloudWatch, Room
from local.cloud.cloudwatch.store import MetricName
from local.cloud.shape_checks import message, violations

from .tracking import DEFAULT_COOLDOWN, SCALE_IN_SHARE, Policy

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
PREDEFINED = {"SageMakerVariantInvocationsPerInstance": ("AWS/SageMaker", "InvocationsPerInstance", "Sum")}
LINKED_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
Key = tuple[str, str]


@dataclass
class Target:
    """A scalable target."""

    arn: str
    resource_id: str
    minimum: int
    maximum: int
    role_arn: str
    created: float
    suspended: dict[str, bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    last_out: float | None = None
    last_in: float | None = None

    @property
    def endpoint(self) -> str:
        return self.resource_id.split("/")[1]

    @property
    def variant(self) -> str:
        return self.resource_id.split("/")[3]


@dataclass
class ScalingPolicy:
    """A scaling policy with the alarms that were created for it."""

    arn: str
    name: str
    resource_id: str
    configuration: dict[str, Any]
    created: float
    alarms: dict[str, str]

    @property
    def tracking(self) -> Policy:
        """The policy as the decision needs it."""
        given = self.configuration
        return Policy(
            float(given["TargetValue"]),
            float(given.get("ScaleOutCooldown", DEFAULT_COOLDOWN)),
            float(given.get("ScaleInCooldown", DEFAULT_COOLDOWN)),
            not given.get("DisableScaleIn", False),
        )

    @property
    def metric(self) -> tuple[MetricName, str]:
        """The tracked metric and its statistic."""
        custom = self.configuration.get("CustomizedMetricSpecification")
        if custom:
            dimensions = {d["Name"]: d["Value"] for d in custom.get("Dimensions") or []}
            return MetricName.of(custom["Namespace"], custom["MetricName"], dimensions), custom["Statistic"]
        namespace, name, statistic = PREDEFINED[self.configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]]
        _, endpoint, _, variant = self.resource_id.split("/")
        return MetricName.of(namespace, name, {"EndpointName": endpoint, "VariantName": variant}), statistic

    @property
    def high(self) -> str:
        return next(n for n in self.alarms if "-AlarmHigh-" in n)

    @property
    def low(self) -> str:
        return next(n for n in self.alarms if "-AlarmLow-" in n)


class Scaling:
    """Application Auto Scaling of SageMaker variants in one account and region."""

    def __init__(self, account_id: str, region: str) -> None:
        self.account_id, self.region = account_id, region
        self.lock = threading.RLock()
        self.targets: dict[str, Target] = {}
        self.policies: dict[Key, ScalingPolicy] = {}
        self.activities: list[dict[str, Any]] = []

    @property
    def cloudwatch(self) -> CloudWatch:
        return cast(CloudWatch, context.current().metrics)

    @property
    def room(self) -> Room:
        return self.cloudwatch.room(self.account_id, self.region)

    def register(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Registers a variant, or changes its bounds."""
        _checked("RegisterScalableTarget", given)
        resource = _resource(given)
        with self.lock:
            known = self.targets.get(resource)
            low = given.get("MinCapacity", known.minimum if known else None)
            high = given.get("MaxCapacity", known.maximum if known else None)
            if low is None or high is None:
                raise _invalid("Both minimum and maximum capacity must be specified when registering a new scalable target.")
            if low > high:
                raise _invalid("Minimum capacity cannot be greater than maximum capacity.")
            if known is None:
                self._variant(resource)
                arn = f"arn:aws:application-autoscaling:{self.region}:{self.account_id}:scalable-target/{uuid.uuid4().hex}"
                role = given.get("RoleARN") or f"arn:aws:iam::{self.account_id}:{LINKED_ROLE}"
                known = self.targets[resource] = Target(
                    arn, resource, low, high, role, context.current().clock.time(), tags=dict(given.get("Tags") or {})
                )
            known.minimum, known.maximum = low, high
            known.suspended |= given.get("SuspendedState") or {}
        return {"ScalableTargetARN": known.arn}

    def describe_targets(self, given: Mapping[str, Any]) -> dict[str, Any]:
        _checked("DescribeScalableTargets", given)
        wanted = given.get("ResourceIds")
        return {"ScalableTargets": [_target(t) for t in self.targets.values() if not wanted or t.resource_id in wanted]}

    def deregister(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Removes a target with its policies and their alarms."""
        _checked("DeregisterScalableTarget", given)
        resource = _resource(given)
        with self.lock:
            if self.targets.pop(resource, None) is None:
                raise _missing(f"No scalable target found for {_where(resource)}")
            gone = [key for key in self.policies if key[0] == resource]
            policies = [self.policies.pop(key) for key in gone]
        for policy in policies:
            self.room.alarms.delete(list(policy.alarms))
        return {}

    def put_policy(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Creates or replaces a target-tracking policy and its two alarms."""
        _checked("PutScalingPolicy", given)
        resource, name = _resource(given), given["PolicyName"]
        if given.get("PolicyType", "StepScaling") != "TargetTrackingScaling":
            raise not_implemented(
                "application-autoscaling", "PutScalingPolicy with other types than TargetTrackingScaling for SageMaker variants"
            )
        configuration = given.get("TargetTrackingScalingPolicyConfiguration")
        if not configuration:
            raise _invalid("TargetTrackingScalingPolicyConfiguration must be specified for a policy of type TargetTrackingScaling.")
        _check_metric(configuration)
        with self.lock:
            if resource not in self.targets:
                raise _missing(f"No scalable target registered for {_where(resource)}")
            known = self.policies.get((resource, name))
            arn = known.arn if known else self._policy_arn(resource, name)
            created = known.created if known else context.current().clock.time()
            alarms = known.alarms if known else self._alarm_names(resource)
            policy = self.policies[resource, name] = ScalingPolicy(arn, name, resource, dict(configuration), created, alarms)
        self._put_alarms(policy)
        return {"PolicyARN": arn, "Alarms": _alarms(policy)}

    def describe_policies(self, given: Mapping[str, Any]) -> dict[str, Any]:
        _checked("DescribeScalingPolicies", given)
        names, resource = given.get("PolicyNames"), given.get("ResourceId")
        chosen = [p for p in self.policies.values() if (not names or p.name in names) and (not resource or p.resource_id == resource)]
        return {"ScalingPolicies": [_policy(p) for p in chosen]}

    def delete_policy(self, given: Mapping[str, Any]) -> dict[str, Any]:
        _checked("DeleteScalingPolicy", given)
        resource = _resource(given)
        with self.lock:
            policy = self.policies.pop((resource, given["PolicyName"]), None)
        if policy is None:
            raise _missing(f"No scaling policy found for {_where(resource)}, policy name: {given['PolicyName']}")
        self.room.alarms.delete(list(policy.alarms))
        return {}

    def describe_activities(self, given: Mapping[str, Any]) -> dict[str, Any]:
        _checked("DescribeScalingActivities", given)
        wanted = given.get("ResourceId")
        return {"ScalingActivities": [a for a in reversed(self.activities) if not wanted or a["ResourceId"] == wanted]}

    def tags(self, arn: str) -> dict[str, str] | None:
        """The tags of a target by its ARN, to read and change; None when it is not one of ours."""
        return next((t.tags for t in self.targets.values() if t.arn == arn), None)

    def _variant(self, resource: str) -> None:
        from local.cloud.sagemaker.backend import backends

        _, endpoint, _, variant = resource.split("/")
        record = backends[self.account_id][self.region].endpoints.get(endpoint)
        if record is None or variant not in record.variants:
            raise _invalid(f"SageMaker endpoint variant doesn't exist: {resource}")

    def _policy_arn(self, resource: str, name: str) -> str:
        prefix = f"arn:aws:autoscaling:{self.region}:{self.account_id}:scalingPolicy:{uuid.uuid4()}"
        return f"{prefix}:resource/sagemaker/{resource}:policyName/{name}"

    def _alarm_names(self, resource: str) -> dict[str, str]:
        names = [f"TargetTracking-{resource}-Alarm{kind}-{uuid.uuid4()}" for kind in ("High", "Low")]
        return {name: self.room.alarm_arn(name) for name in names}

    def _put_alarms(self, policy: ScalingPolicy) -> None:
        metric, statistic = policy.metric
        for name, arn in policy.alarms.items():
            high = name == policy.high
            target = policy.tracking.target
            self.room.alarms.put(
                arn,
                {
                    "AlarmName": name,
                    "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
                    "AlarmActions": [policy.arn],
                    "ActionsEnabled": True,
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": k, "Value": v} for k, v in metric.dimensions],
                    "Statistic": statistic,
                    "Period": 60,
                    "EvaluationPeriods": 3 if high else 15,
                    "Threshold": target if high else target * SCALE_IN_SHARE,
                    "ComparisonOperator": "GreaterThanThreshold" if high else "LessThanThreshold",
                },
            )
        self.cloudwatch.evaluate_soon()


def _check_metric(configuration: Mapping[str, Any]) -> None:
    predefined, custom = configuration.get("PredefinedMetricSpecification"), configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        raise _invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified.")
    if predefined and predefined["PredefinedMetricType"] not in PREDEFINED:
        raise _invalid(
            f"Predefined metric type {predefined['PredefinedMetricType']} is not supported for the scalable dimension {DIMENSION}."
        )
    if custom and custom.get("Metrics"):
        raise not_implemented("application-autoscaling", "PutScalingPolicy with metric math")


def _resource(given: Mapping[str, Any]) -> str:
    resource, dimension = str(given["ResourceId"]), given["ScalableDimension"]
    parts = resource.split("/")
    if dimension != DIMENSION:
        raise not_implemented("application-autoscaling", f"the scalable dimension {dimension}")
    if len(parts) != 4 or parts[0] != "endpoint" or parts[2] != "variant":
        raise _invalid(f"Unsupported service namespace, resource type or scalable dimension: sagemaker, {resource}, {dimension}")
    return resource


def _where(resource: str) -> str:
    return f"service namespace: sagemaker, resource ID: {resource}, scalable dimension: {DIMENSION}"


def _checked(operation: str, given: Mapping[str, Any]) -> None:
    found = violations("application-autoscaling", operation, given)
    if found:
        raise _invalid(message(found))


def _invalid(text: str) -> CloudError:
    return CloudError("ValidationException", text)


def _missing(text: str) -> CloudError:
    return CloudError("ObjectNotFoundException", text)


def _target(target: Target) -> dict[str, Any]:
    suspended = {f"{kind}Suspended": False for kind in ("DynamicScalingIn", "DynamicScalingOut", "ScheduledScaling")}
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "MinCapacity": target.minimum,
        "MaxCapacity": target.maximum,
        "RoleARN": target.role_arn,
        "CreationTime": target.created,
        "SuspendedState": suspended | target.suspended,
        "ScalableTargetARN": target.arn,
    }


def _alarms(policy: ScalingPolicy) -> list[dict[str, str]]:
    return [{"AlarmName": name, "AlarmARN": arn} for name, arn in policy.alarms.items()]


def _policy(policy: ScalingPolicy) -> dict[str, Any]:
    return {
        "PolicyARN": policy.arn,
        "PolicyName": policy.name,
        "ServiceNamespace": "sagemaker",
        "ResourceId": policy.resource_id,
        "ScalableDimension": DIMENSION,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": policy.configuration,
        "Alarms": _alarms(policy),
        "CreationTime": policy.created,
    }
