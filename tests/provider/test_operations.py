"""Logs, alarms, events, topics, queues, scaling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.provider.conftest import ACCOUNT
from tests.provider.door import CheckFailed, Door

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def test_log_groups(door: Door) -> None:
    inputs = {"name": "/lockstep/flow", "retentionInDays": 30}
    held = door.cycle("aws:cloudwatch/logGroup:LogGroup", inputs, {"retentionInDays": 90, "tags": {"a": "b"}})
    assert held["arn"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/lockstep/flow"
    forever = door.up(held, {"name": "/lockstep/flow"})
    assert forever["retentionInDays"] == 0
    with pytest.raises(CheckFailed, match="kmsKeyId"):
        door.check(held, {**inputs, "kmsKeyId": "x" * 300})
    door.gone(forever)


def test_alarms(door: Door) -> None:
    inputs: dict[str, Any] = {
        "name": "errors",
        "namespace": "AWS/SageMaker",
        "metricName": "Invocation5XXErrors",
        "dimensions": {"EndpointName": "e", "VariantName": "v"},
        "statistic": "Average",
        "period": 60,
        "evaluationPeriods": 3,
        "datapointsToAlarm": 2,
        "threshold": 0.02,
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "alarmActions": [f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"],
    }
    held = door.cycle(ALARM, inputs, {"threshold": 0.5, "alarmDescription": "told"})
    assert held["dimensions"] == {"EndpointName": "e", "VariantName": "v"}
    with pytest.raises(CheckFailed, match="comparisonOperator: expected one of"):
        door.check(held, {**inputs, "comparisonOperator": "Above"})
    with pytest.raises(CheckFailed, match="conflicts with statistic"):
        door.check(held, {**inputs, "extendedStatistic": "p99"})
    door.gone(held)


def test_an_alarm_over_a_formula(door: Door) -> None:
    metric = {"namespace": "AWS/SageMaker", "metricName": "Invocations", "dimensions": {"EndpointName": "e"}, "period": 60, "stat": "Sum"}
    queries = [
        {"id": "rate", "expression": "errors / count", "label": "rate", "returnData": True},
        {"id": "count", "metric": metric},
        {"id": "errors", "metric": {**metric, "metricName": "Invocation5XXErrors"}},
    ]
    inputs = {
        "name": "rate",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
        "threshold": 1,
        "metricQueries": queries,
    }
    door.gone(door.cycle(ALARM, inputs, {"threshold": 2}))


def test_rules_and_targets(door: Door) -> None:
    pattern = {"source": ["aws.sagemaker"], "detail": {"ModelApprovalStatus": ["Approved"]}}
    inputs = {"name": "approved", "description": "starts release", "eventPattern": json.dumps(pattern)}
    rule = door.cycle("aws:cloudwatch/eventRule:EventRule", inputs, {"description": "starts it", "tags": {"a": "b"}})
    assert rule["arn"].endswith("rule/approved")
    assert door.preview(
        rule, {**inputs, "description": "starts it", "eventPattern": json.dumps(pattern, indent=2), "tags": {"a": "b"}}
    ).empty
    target = {
        "rule": "approved",
        "targetId": "release",
        "arn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/release",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/events",
        "sagemakerPipelineTarget": {"pipelineParameterLists": [{"name": "ModelPackageArn", "value": "$.detail.ModelPackageArn"}]},
        "retryPolicy": {"maximumRetryAttempts": 3, "maximumEventAgeInSeconds": 3600},
    }
    retry = {"maximumRetryAttempts": 4, "maximumEventAgeInSeconds": 3600}
    held = door.cycle("aws:cloudwatch/eventTarget:EventTarget", target, {"retryPolicy": retry})
    assert held.identity == "approved-release"
    door.gone(held)
    door.gone(rule)


def test_topics_and_subscriptions(door: Door) -> None:
    topic = door.cycle("aws:sns/topic:Topic", {"name": "alarms", "displayName": "Alarms"}, {"displayName": "All alarms"})
    statement = {"Sid": "cw", "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish",
                 "Resource": topic["arn"]}  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = door.cycle("aws:sns/topicPolicy:TopicPolicy", {"arn": topic["arn"], "policy": document})
    seen = door.refresh(topic)
    assert seen is not None
    assert seen.state == topic.state, "a policy of its own is no change of its topic"
    inputs = {"topic": topic["arn"], "protocol": "email", "endpoint": "team@example.com"}
    subscription = door.cycle("aws:sns/topicSubscription:TopicSubscription", inputs)
    assert door.preview(subscription, {**inputs, "endpoint": "other@example.com"}).replaces == ["endpoint"]
    door.gone(subscription)
    door.destroy(policy)
    door.gone(topic)


def test_queues(door: Door) -> None:
    queue = door.cycle("aws:sqs/queue:Queue", {"name": "work", "visibilityTimeoutSeconds": 60}, {"visibilityTimeoutSeconds": 90})
    assert queue["url"] == queue.identity
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue["arn"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = door.cycle("aws:sqs/queuePolicy:QueuePolicy", {"queueUrl": queue.identity, "policy": document})
    door.gone(policy)
    door.gone(queue)
