"""Delivery of one event to one target, with the rights that AWS demands: a role for pipelines, a resource policy for topics and queues."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from moto.events.models import Rule
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local.cloud.accounts import root_of
from local.cloud.context import Cloud
from local.cloud.events.inputs import body_for, path_value, text_of
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate

_SERVICE = "events.amazonaws.com"


def deliver(cloud: Cloud, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    """Hand an event to a target, or raise."""
    service = str(target["Arn"]).split(":")[2]
    match service:
        case "sagemaker":
            _start_pipeline(cloud, rule, target, event)
        case "sns":
            _publish(cloud, rule, target, event)
        case "sqs":
            _send(cloud, rule, target, event)
        case _:
            raise NotImplementedError(f"events to {service} targets are not part of the embedded cloud")


def _start_pipeline(cloud: Cloud, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    _, _, _, region, account, name = str(target["Arn"]).split(":", 5)
    role = target.get("RoleArn") or rule.role_arn
    if not role:
        raise PermissionError("a pipeline target needs a role")
    session = cloud.session_of(cloud.credentials(account, role, service=_SERVICE, session_name=str(event["id"]).replace("-", "")), region)
    parameters = []
    for parameter in target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList", []):
        value = parameter["Value"]
        if value.startswith("$."):
            value = text_of(path_value(value, event))
        parameters.append({"Name": parameter["Name"], "Value": value})
    token = hashlib.sha256(f"{event['id']} {rule.arn} {target['Id']}".encode()).hexdigest()
    session.client("sagemaker").start_pipeline_execution(
        PipelineName=name.split("/", 1)[1], PipelineParameters=parameters, ClientRequestToken=token
    )


def _publish(cloud: Cloud, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    arn = str(target["Arn"])
    _, _, _, region, account, _ = arn.split(":", 5)
    topic = sns_backends[account][region].topics[arn]
    _allowed(topic.policy, "sns:Publish", arn, rule)
    cloud.session_of(cloud.accounts.mint(root_of(account), None), region).client("sns").publish(
        TopicArn=arn, Message=body_for(target, event, rule.arn)
    )


def _send(cloud: Cloud, rule: Rule, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    arn = str(target["Arn"])
    _, _, _, region, account, name = arn.split(":", 5)
    queue = sqs_backends[account][region].get_queue(name)
    _allowed(queue.policy, "sqs:SendMessage", arn, rule)
    client = cloud.session_of(cloud.accounts.mint(root_of(account), None), region).client("sqs")
    extra = {}
    if target.get("SqsParameters", {}).get("MessageGroupId"):
        extra = {"MessageGroupId": target["SqsParameters"]["MessageGroupId"]}
    client.send_message(QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body_for(target, event, rule.arn), **extra)


def _allowed(policy: Any, action: str, resource: str, rule: Rule) -> None:
    """EventBridge reaches topics and queues by their own policies."""
    document = json.loads(policy) if isinstance(policy, str) and policy else policy or {}
    principal = Principal(service=_SERVICE)
    context = {**principal.context(), "aws:sourcearn": rule.arn, "aws:sourceaccount": rule.account_id, "aws:securetransport": "true"}
    if evaluate([document], Question(principal, action, resource, context)) is not Verdict.ALLOW:
        raise PermissionError(f"the policy of {resource} does not let {_SERVICE} do {action} for rule {rule.arn}")
