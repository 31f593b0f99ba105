"""EventBridge rules and targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.provider.api import Api
from local.provider.errors import AwsError
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Tags

_GONE = ("ResourceNotFoundException",)

RULE = ResourceType(
    token="aws:cloudwatch/eventRule:EventRule",
    service="events",
    create=Call("PutRule", fields=("name", "description", "eventPattern", "scheduleExpression", "roleArn", "eventBusName", "state")),
    identity="{name}",
    reads=(Read("DescribeRule", {"Name": "$id", "EventBusName": "$eventBusName"}, skip=("isEnabled",), absent=_GONE),),
    delete=Call("DeleteRule", {"Name": "$id", "EventBusName": "$eventBusName", "Force": "$forceDestroy"}),
    upsert=True,
    absent=_GONE,
    replace=("name", "namePrefix", "eventBusName"),
    name=AutoName("name", 64, prefix="namePrefix"),
    defaults={"eventBusName": "default", "state": "ENABLED", "forceDestroy": False},
    computed=("namePrefix",),
    documents=("eventPattern",),
    local=("forceDestroy", "namePrefix"),
    tags=Tags(
        tag=Call("TagResource", {"ResourceARN": "$arn"}),
        untag=Call("UntagResource", {"ResourceARN": "$arn"}),
        read=Read("ListTagsForResource", {"ResourceARN": "$arn"}, at="Tags"),
    ),
)

# Property -> (member of a target, its properties -> members); None: as it is.
_BLOCKS: dict[str, tuple[str, dict[str, str] | None]] = {
    "arn": ("Arn", None),
    "roleArn": ("RoleArn", None),
    "input": ("Input", None),
    "inputPath": ("InputPath", None),
    "inputTransformer": ("InputTransformer", {"inputPaths": "InputPathsMap", "inputTemplate": "InputTemplate"}),
    "retryPolicy": (
        "RetryPolicy",
        {"maximumRetryAttempts": "MaximumRetryAttempts", "maximumEventAgeInSeconds": "MaximumEventAgeInSeconds"},
    ),
    "deadLetterConfig": ("DeadLetterConfig", {"arn": "Arn"}),
    "sqsTarget": ("SqsParameters", {"messageGroupId": "MessageGroupId"}),
    "sagemakerPipelineTarget": ("SageMakerPipelineParameters", {"pipelineParameterLists": "PipelineParameterList"}),
}


def _target(inputs: Properties) -> dict[str, Any]:
    made: dict[str, Any] = {"Id": inputs["targetId"]}
    for name, (member, inner) in _BLOCKS.items():
        value = inputs.get(name)
        if value in (None, ""):
            continue
        made[member] = {inner[k]: _item(v) for k, v in value.items() if k in inner} if inner else value
    return made


def _item(value: Any) -> Any:
    """Pairs of a pipeline's parameters: name, value -> Name, Value."""
    if isinstance(value, list):
        return [{k[0].upper() + k[1:]: v for k, v in item.items()} for item in value]
    return value


def _found(target: Mapping[str, Any]) -> Properties:
    made: Properties = {"targetId": target["Id"]}
    for name, (member, inner) in _BLOCKS.items():
        value = target.get(member)
        if value is None:
            continue
        if inner is None:
            made[name] = value
        else:
            made[name] = {k: _found_item(value[m]) for k, m in inner.items() if m in value}
    return made


def _found_item(value: Any) -> Any:
    if isinstance(value, list):
        return [{k[0].lower() + k[1:]: v for k, v in item.items()} for item in value]
    return value


def _put(api: Api, inputs: Properties) -> str:
    answer = api.call("events", "PutTargets", Rule=inputs["rule"], EventBusName=inputs["eventBusName"], Targets=[_target(inputs)])
    for failed in answer.get("FailedEntries") or []:
        raise AwsError("events", "PutTargets", failed.get("ErrorCode", "Unknown"), failed.get("ErrorMessage", ""))
    return f"{inputs['rule']}-{inputs['targetId']}"


def _read(api: Api, identity: str, known: Properties) -> Properties | None:
    if "rule" not in known:  # an import names all three: bus/rule/target, the bus being optional
        parts = identity.split("/")
        known = {"eventBusName": parts[0] if len(parts) == 3 else "default", "rule": parts[-2], "targetId": parts[-1]}
    try:
        targets = api.pages("events", "ListTargetsByRule", "Targets", Rule=known["rule"], EventBusName=known["eventBusName"])
    except AwsError as error:
        if error.code in _GONE:
            return None
        raise
    found = next((t for t in targets if t["Id"] == known["targetId"]), None)
    if found is None:
        return None
    return {**_found(found), "rule": known["rule"], "eventBusName": known["eventBusName"], "forceDestroy": known.get("forceDestroy", False)}


def _update(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    _put(api, new)


def _delete(api: Api, identity: str, state: Properties) -> None:
    force = {"Force": True} if state.get("forceDestroy") else {}
    api.call("events", "RemoveTargets", Rule=state["rule"], EventBusName=state["eventBusName"], Ids=[state["targetId"]], **force)


TARGET = ResourceType(
    token="aws:cloudwatch/eventTarget:EventTarget",
    service="events",
    create=Call("PutTargets", fields=("rule", "eventBusName")),
    identity="{rule}-{targetId}",
    absent=_GONE,
    replace=("rule", "eventBusName", "targetId"),
    name=AutoName("targetId", 64),
    defaults={"eventBusName": "default", "forceDestroy": False},
    local=("targetId", "forceDestroy", *_BLOCKS),
    documents=("input",),
    on_create=_put,
    on_read=_read,
    on_update=_update,
    on_delete=_delete,
)

TYPES = (RULE, TARGET)
