"""EventBridge, SNS and SQS: what is sent arrives where rules and subscriptions say, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud.aws import REGION, Aws, fresh
from tests.cloud.contracts.waiting import code, until

EVENT = {
    "id": "1",
    "detail-type": "t",
    "source": "mine",
    "account": "1",
    "time": "2026-01-01T00:00:00Z",
    "region": REGION,
    "resources": [],
    "detail": {"a": 1, "b": {"c": "long"}},
}


def queue(aws: Aws, senders: dict[str, str]) -> tuple[str, Callable[[], list[Any]]]:
    """A queue that services may send to, each for one source; its ARN, and what takes its messages."""
    sqs, name = aws("sqs"), fresh("seen")
    url, arn = sqs.create_queue(QueueName=name)["QueueUrl"], aws.arn("sqs", name)
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
        for service, source in senders.items()
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def take() -> list[Any]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    return arn, take


def rule(aws: Aws, pattern: dict[str, Any]) -> tuple[str, str]:
    name = fresh("rule")
    return name, aws("events").put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]


def put(aws: Aws, *details: dict[str, Any], source: str = "mine") -> None:
    entries = [{"Source": source, "DetailType": "seen", "Detail": json.dumps(detail)} for detail in details]
    assert aws("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def test_a_rule_sends_the_events_it_wants(aws: Aws) -> None:
    name, source = rule(aws, {"source": ["mine"], "detail": {"state": ["Approved"]}})
    arn, take = queue(aws, {"events.amazonaws.com": source})
    assert aws("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])["FailedEntryCount"] == 0
    put(aws, {"state": "Rejected"}, {"state": "Approved", "n": 1})
    (event,) = until(take)
    assert event["detail"] == {"state": "Approved", "n": 1}
    assert (event["source"], event["detail-type"], event["account"], event["region"]) == ("mine", "seen", aws.account, REGION)


def test_a_target_gets_the_part_it_asks_for(aws: Aws) -> None:
    name, source = rule(aws, {"source": ["mine"]})
    arn, take = queue(aws, {"events.amazonaws.com": source})
    aws("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.detail.model"}])
    put(aws, {"model": {"version": 3}})
    assert until(take) == [{"version": 3}]


def test_rules_with_targets_stay(aws: Aws) -> None:
    events = aws("events")
    name, _ = rule(aws, {"source": ["mine"]})
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": aws.arn("sqs", "any")}])
    assert code(events.delete_rule, Name=name) == "ValidationException"
    events.remove_targets(Rule=name, Ids=["1"])
    events.delete_rule(Name=name)
    assert code(events.describe_rule, Name=name) == "ResourceNotFoundException"
    assert code(events.put_targets, Rule=name, Targets=[{"Id": "1", "Arn": aws.arn("sqs", "any")}]) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"detail": {"a": [1]}}, True),
        ({"detail": {"a": [2]}}, False),
        ({"detail": {"b": {"c": [{"prefix": "lo"}]}}}, True),
        ({"detail": {"b": {"c": [{"anything-but": ["long"]}]}}}, False),
        ({"detail": {"none": [{"exists": False}]}, "source": ["other", "mine"]}, True),
    ],
)
def test_patterns(aws: Aws, pattern: dict[str, Any], expected: bool) -> None:
    assert aws("events").test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(EVENT))["Result"] is expected


def test_what_is_no_pattern_or_no_event_is_refused(aws: Aws) -> None:
    events = aws("events")
    assert code(events.test_event_pattern, EventPattern='{"source": "x"}', Event=json.dumps(EVENT)) == "InvalidEventPatternException"
    answer = events.put_events(Entries=[{"Source": "mine", "DetailType": "x", "Detail": "{"}])
    assert [entry["ErrorCode"] for entry in answer["Entries"]] == ["MalformedDetail"]


def test_a_topic_reaches_its_queues(aws: Aws) -> None:
    sns = aws("sns")
    topic = sns.create_topic(Name=fresh("alarms"))["TopicArn"]
    wrapped, take_wrapped = queue(aws, {"sns.amazonaws.com": topic})
    raw, take_raw = queue(aws, {"sns.amazonaws.com": topic})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=wrapped)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=raw, Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Subject="of note", Message=json.dumps({"n": 1}))
    (envelope,) = until(take_wrapped)
    assert (envelope["TopicArn"], envelope["Subject"], json.loads(envelope["Message"])) == (topic, "of note", {"n": 1})
    assert until(take_raw) == [{"n": 1}]


def test_a_rule_reaches_a_topic(aws: Aws) -> None:
    sns = aws("sns")
    topic = sns.create_topic(Name=fresh("alarms"))["TopicArn"]
    name, source = rule(aws, {"source": ["mine"]})
    statement = {
        "Sid": "events",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    arn, take = queue(aws, {"sns.amazonaws.com": topic})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    aws("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": topic}])
    put(aws, {"n": 1})
    (event,) = until(take)
    assert event["detail"] == {"n": 1}


def test_a_message_that_is_taken_is_hidden_until_it_is_deleted(aws: Aws) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName=fresh("work"), Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert again["MessageId"] == message["MessageId"]
