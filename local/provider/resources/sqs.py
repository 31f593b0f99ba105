"""Queues and their policies."""

from __future__ import annotations

from typing import Any

from local.provider.api import Api
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Tags

_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
# Property -> attribute of a queue; the values of all attributes are text.
_QUEUE = {
    "delaySeconds": "DelaySeconds",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "redrivePolicy": "RedrivePolicy",
    "policy": "Policy",
    "fifoQueue": "FifoQueue",
    "contentBasedDeduplication": "ContentBasedDeduplication",
}
_BOOLEANS = ("sqsManagedSseEnabled", "fifoQueue", "contentBasedDeduplication")
_TEXTS = ("kmsMasterKeyId", "redrivePolicy", "policy")


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _create(api: Api, inputs: Properties) -> str:
    attributes = {m: _text(inputs[n]) for n, m in _QUEUE.items() if inputs.get(n) not in (None, "", False)}
    params: dict[str, Any] = {"QueueName": inputs["name"], "Attributes": attributes}
    if inputs.get("tagsAll"):
        params["tags"] = inputs["tagsAll"]
    return str(api.call("sqs", "CreateQueue", **params)["QueueUrl"])


def _read(api: Api, identity: str, known: Properties) -> Properties | None:
    answer = api.try_call("sqs", "GetQueueAttributes", _GONE, QueueUrl=identity, AttributeNames=["All"])
    if answer is None:
        return None
    found = answer["Attributes"]
    state: Properties = {"arn": found["QueueArn"], "url": identity, "name": identity.rsplit("/", 1)[-1]}
    for name, member in _QUEUE.items():
        value = found.get(member)
        if value not in (None, ""):
            state[name] = value if name in _TEXTS else value == "true" if name in _BOOLEANS else int(value)
    return state


def _update(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    attributes = {_QUEUE[n]: "" if new.get(n) is None else _text(new[n]) for n in changed if n in _QUEUE}
    if attributes:
        api.call("sqs", "SetQueueAttributes", QueueUrl=identity, Attributes=attributes)


QUEUE = ResourceType(
    token="aws:sqs/queue:Queue",
    service="sqs",
    create=Call("CreateQueue", {"QueueName": "$name"}),
    identity="QueueUrl",
    delete=Call("DeleteQueue", {"QueueUrl": "$id"}),
    absent=_GONE,
    replace=("name", "namePrefix", "fifoQueue"),
    name=AutoName("name", 80, prefix="namePrefix"),
    defaults={
        "delaySeconds": 0,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
        "fifoQueue": False,
        "contentBasedDeduplication": False,
    },
    computed=("kmsDataKeyReusePeriodSeconds", "maxMessageSize", "sqsManagedSseEnabled", "policy", "namePrefix"),
    documents=("policy", "redrivePolicy"),
    local=(*_QUEUE, "namePrefix"),
    volatile=("policy",),
    tags=Tags(
        tag=Call("TagQueue", {"QueueUrl": "$id"}),
        untag=Call("UntagQueue", {"QueueUrl": "$id"}),
        style="map",
        create="tags",
        read=Read("ListQueueTags", {"QueueUrl": "$id"}, at="Tags", absent=_GONE),
    ),
    on_create=_create,
    on_read=_read,
    on_update=_update,
)


def _clear_policy(api: Api, identity: str, state: Properties) -> None:
    api.call("sqs", "SetQueueAttributes", QueueUrl=identity, Attributes={"Policy": ""})


QUEUE_POLICY = ResourceType(
    token="aws:sqs/queuePolicy:QueuePolicy",
    service="sqs",
    create=Call("SetQueueAttributes", {"QueueUrl": "$queueUrl", "Attributes": {"Policy": "$policy"}}),
    identity="{queueUrl}",
    reads=(
        Read(
            "GetQueueAttributes",
            {"QueueUrl": "$id", "AttributeNames": ["Policy"]},
            at="Attributes",
            fields={"policy": "Policy"},
            absent=_GONE,
            gone="Policy==null",
        ),
    ),
    upsert=True,
    absent=_GONE,
    replace=("queueUrl",),
    documents=("policy",),
    local=("queueUrl",),
    on_delete=_clear_policy,
)

TYPES = (QUEUE, QUEUE_POLICY)
