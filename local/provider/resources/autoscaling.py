"""Application Auto Scaling: what may be scaled, and by which policy."""

from __future__ import annotations

from local.provider.api import Api
from local.provider.resource import Call, Properties, Read, ResourceType, Tags

_GONE = ("ObjectNotFoundException",)
_TARGET_KEYS = {"ServiceNamespace": "$serviceNamespace", "ResourceId": "$resourceId", "ScalableDimension": "$scalableDimension"}


def _delete_target(api: Api, identity: str, state: Properties) -> None:
    keys = {member: state[name[1:]] for member, name in _TARGET_KEYS.items()}
    api.call("application-autoscaling", "DeregisterScalableTarget", **keys)


TARGET = ResourceType(
    token="aws:appautoscaling/target:Target",
    service="application-autoscaling",
    create=Call(
        "RegisterScalableTarget",
        fields=("serviceNamespace", "resourceId", "scalableDimension", "minCapacity", "maxCapacity", "roleArn", "suspendedState"),
    ),
    identity="{resourceId}",
    reads=(
        Read(
            "DescribeScalableTargets",
            {
                "ServiceNamespace": "$serviceNamespace",
                "ResourceIds": ["$resourceId"],
                "ScalableDimension": "$scalableDimension",
            },
            at="ScalableTargets[0]",
            fields={"arn": "ScalableTargetARN"},
            absent=_GONE,
        ),
    ),
    upsert=True,
    absent=_GONE,
    replace=("serviceNamespace", "resourceId", "scalableDimension"),
    computed=("roleArn", "suspendedState"),
    tags=Tags(
        tag=Call("TagResource", {"ResourceARN": "$arn"}),
        untag=Call("UntagResource", {"ResourceARN": "$arn"}),
        style="map",
        read=Read("ListTagsForResource", {"ResourceARN": "$arn"}, at="Tags", absent=("ResourceNotFoundException",)),
    ),
    on_delete=_delete_target,
)

POLICY = ResourceType(
    token="aws:appautoscaling/policy:Policy",
    service="application-autoscaling",
    create=Call(
        "PutScalingPolicy",
        {"PolicyName": "$name"},
        fields=(
            "policyType",
            "serviceNamespace",
            "resourceId",
            "scalableDimension",
            "targetTrackingScalingPolicyConfiguration",
            "stepScalingPolicyConfiguration",
        ),
    ),
    identity="{name}",
    reads=(
        Read(
            "DescribeScalingPolicies",
            {
                "PolicyNames": ["$name"],
                "ServiceNamespace": "$serviceNamespace",
                "ResourceId": "$resourceId",
                "ScalableDimension": "$scalableDimension",
            },
            at="ScalingPolicies[0]",
            fields={"arn": "PolicyARN", "name": "PolicyName", "alarmArns": "Alarms[].AlarmARN"},
            absent=_GONE,
        ),
    ),
    delete=Call("DeleteScalingPolicy", {"PolicyName": "$name", **_TARGET_KEYS}),
    upsert=True,
    absent=_GONE,
    replace=("name", "serviceNamespace", "resourceId", "scalableDimension"),
    defaults={"policyType": "StepScaling"},
)

TYPES = (TARGET, POLICY)
