"""Topics, their policies and subscriptions."""

from __future__ import annotations

import json
from typing import Any

from local.provider.api import Api
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Tags

_GONE = ("NotFound", "NotFoundException")
# Property -> attribute of a topic.
_TOPIC = {
    "displayName": "DisplayName",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "fifoTopic": "FifoTopic",
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
_SUBSCRIPTION = {
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "deliveryPolicy": "DeliveryPolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}
_BOOLEANS = ("fifoTopic", "contentBasedDeduplication", "rawMessageDelivery")
_NUMBERS = ("signatureVersion",)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _attributes(inputs: Properties, names: dict[str, str]) -> dict[str, str]:
    return {member: _text(inputs[name]) for name, member in names.items() if inputs.get(name) not in (None, "", False)}


def _found(attributes: dict[str, str], names: dict[str, str]) -> Properties:
    made: Properties = {}
    for name, member in names.items():
        value = attributes.get(member)
        if value not in (None, ""):
            made[name] = value == "true" if name in _BOOLEANS else int(value) if name in _NUMBERS and value else value
    return made


def _create_topic(api: Api, inputs: Properties) -> str:
    params: dict[str, Any] = {"Name": inputs["name"]}
    attributes = _attributes(inputs, _TOPIC)
    if attributes:
        params["Attributes"] = attributes
    if inputs.get("tagsAll"):
        params["Tags"] = [{"Key": k, "Value": v} for k, v in sorted(inputs["tagsAll"].items())]
    return str(api.call("sns", "CreateTopic", **params)["TopicArn"])


def _read_topic(api: Api, identity: str, known: Properties) -> Properties | None:
    answer = api.try_call("sns", "GetTopicAttributes", _GONE, TopicArn=identity)
    if answer is None:
        return None
    attributes = answer["Attributes"]
    return {
        "fifoTopic": False,
        "contentBasedDeduplication": False,
        **_found(attributes, _TOPIC),
        "arn": identity,
        "name": identity.rsplit(":", 1)[-1],
        "owner": attributes.get("Owner"),
    }


def _update_topic(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    for name in sorted(changed & set(_TOPIC)):
        value = new.get(name)
        api.call(
            "sns", "SetTopicAttributes", TopicArn=identity, AttributeName=_TOPIC[name], AttributeValue="" if value is None else _text(value)
        )


TOPIC = ResourceType(
    token="aws:sns/topic:Topic",
    service="sns",
    create=Call("CreateTopic", fields=("name",)),
    identity="TopicArn",
    delete=Call("DeleteTopic", {"TopicArn": "$id"}),
    absent=_GONE,
    replace=("name", "namePrefix", "fifoTopic"),
    name=AutoName("name", 256, prefix="namePrefix"),
    defaults={"fifoTopic": False, "contentBasedDeduplication": False},
    computed=("policy", "signatureVersion", "tracingConfig", "namePrefix"),
    documents=("policy", "deliveryPolicy"),
    local=(*_TOPIC, "namePrefix"),
    volatile=("policy",),
    tags=Tags(
        tag=Call("TagResource", {"ResourceArn": "$arn"}),
        untag=Call("UntagResource", {"ResourceArn": "$arn"}),
        read=Read("ListTagsForResource", {"ResourceArn": "$arn"}, at="Tags", absent=("ResourceNotFound", *_GONE)),
    ),
    on_create=_create_topic,
    on_read=_read_topic,
    on_update=_update_topic,
)


def default_policy(arn: str, account: str) -> str:
    """The policy that a topic has from its creation (SNS developer guide, "Default access policy")."""
    actions = ("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
               "ListSubscriptionsByTopic", "Publish")  # fmt: skip
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{a}" for a in actions],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


def _reset_policy(api: Api, identity: str, state: Properties) -> None:
    owner = identity.split(":")[4]
    api.call("sns", "SetTopicAttributes", TopicArn=identity, AttributeName="Policy", AttributeValue=default_policy(identity, owner))


TOPIC_POLICY = ResourceType(
    token="aws:sns/topicPolicy:TopicPolicy",
    service="sns",
    create=Call("SetTopicAttributes", {"TopicArn": "$arn", "AttributeName": "Policy", "AttributeValue": "$policy"}),
    identity="{arn}",
    reads=(
        Read(
            "GetTopicAttributes",
            {"TopicArn": "$id"},
            at="Attributes",
            fields={"arn": "TopicArn", "policy": "Policy", "owner": "Owner"},
            absent=_GONE,
        ),
    ),
    upsert=True,
    replace=("arn",),
    documents=("policy",),
    on_delete=_reset_policy,
)


def _subscribe(api: Api, inputs: Properties) -> str:
    params: dict[str, Any] = {"TopicArn": inputs["topic"], "Protocol": inputs["protocol"], "Endpoint": inputs["endpoint"]}
    attributes = _attributes(inputs, _SUBSCRIPTION)
    if attributes:
        params["Attributes"] = attributes
    return str(api.call("sns", "Subscribe", ReturnSubscriptionArn=True, **params)["SubscriptionArn"])


def _read_subscription(api: Api, identity: str, known: Properties) -> Properties | None:
    answer = api.try_call("sns", "GetSubscriptionAttributes", _GONE, SubscriptionArn=identity)
    if answer is None:
        return None
    attributes = answer["Attributes"]
    return {
        "rawMessageDelivery": False,
        **_found(attributes, _SUBSCRIPTION),
        "arn": identity,
        "topic": attributes["TopicArn"],
        "protocol": attributes["Protocol"],
        "endpoint": attributes["Endpoint"],
        "ownerId": attributes.get("Owner"),
        "pendingConfirmation": attributes.get("PendingConfirmation") == "true",
        "confirmationWasAuthenticated": attributes.get("ConfirmationWasAuthenticated") == "true",
        **{n: known[n] for n in ("endpointAutoConfirms", "confirmationTimeoutInMinutes") if n in known},
    }


def _update_subscription(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    for name in sorted(changed & set(_SUBSCRIPTION)):
        value = new.get(name)
        text = "{}" if value in (None, "") and name.endswith("Policy") else _text(value)
        api.call("sns", "SetSubscriptionAttributes", SubscriptionArn=identity, AttributeName=_SUBSCRIPTION[name], AttributeValue=text)


TOPIC_SUBSCRIPTION = ResourceType(
    token="aws:sns/topicSubscription:TopicSubscription",
    service="sns",
    create=Call("Subscribe", {"TopicArn": "$topic"}, fields=("protocol", "endpoint")),
    identity="SubscriptionArn",
    delete=Call("Unsubscribe", {"SubscriptionArn": "$id"}),
    absent=(*_GONE, "InvalidParameter:pending confirmation"),
    replace=("topic", "protocol", "endpoint"),
    defaults={"rawMessageDelivery": False, "endpointAutoConfirms": False, "confirmationTimeoutInMinutes": 1},
    computed=("filterPolicyScope",),
    documents=("filterPolicy", "redrivePolicy", "deliveryPolicy"),
    local=(*_SUBSCRIPTION, "endpointAutoConfirms", "confirmationTimeoutInMinutes"),
    volatile=("pendingConfirmation", "confirmationWasAuthenticated"),
    on_create=_subscribe,
    on_read=_read_subscription,
    on_update=_update_subscription,
)

TYPES = (TOPIC, TOPIC_POLICY, TOPIC_SUBSCRIPTION)
