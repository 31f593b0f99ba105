"""Events reach the targets of the rules that want them: pipelines, topics, queues."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud, CloudSession
from tests.cloud.aws import REGION

DEADLINE = 90.0


def until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + DEADLINE
    while not (found := look()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
    return found


def allow(service: str, action: str, resource: str, rule: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]})


def rule(session: CloudSession, pattern: dict[str, Any], **target: Any) -> str:
    events = session.client("events")
    arn: str = events.put_rule(Name="wanted", EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule="wanted", Targets=[{"Id": "1", **target}])
    return arn


def queue_arn(account: str) -> str:
    return f"arn:aws:sqs:{REGION}:{account}:seen"


def queue(session: CloudSession, account: str, rule_arn: str) -> Any:
    sqs = session.client("sqs")
    url = sqs.create_queue(QueueName="seen")["QueueUrl"]
    policy = allow("events.amazonaws.com", "sqs:SendMessage", queue_arn(account), rule_arn)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return lambda: [
        json.loads(message["Body"]) for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


def test_an_approval_reaches_a_queue(cloud: Cloud, account: str) -> None:
    session = cloud.session(account, REGION)
    wanted = {"source": ["aws.sagemaker"], "detail": {"ModelPackageGroupName": ["mortgage"], "ModelApprovalStatus": ["Approved"]}}
    messages = queue(session, account, rule(session, wanted, Arn=queue_arn(account)))
    sagemaker = session.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="mortgage")
    arn = sagemaker.create_model_package(ModelPackageGroupName="mortgage")["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    (event,) = until(messages)
    assert event["detail-type"] == "SageMaker Model Package State Change"
    assert event["resources"] == [arn]
    assert event["account"] == account
    assert event["detail"]["ModelPackageArn"] == arn
    assert event["detail"]["ModelPackageVersion"] == 1
    assert event["detail"]["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]


def test_a_rule_starts_a_pipeline_with_values_of_the_event(cloud: Cloud, account: str) -> None:
    session = cloud.session(account, REGION)
    iam = session.client("iam")

    def role(service: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arn: str = iam.create_role(RoleName=service.split(".")[0], AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        return arn

    definition = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [{"Name": "ModelPackageArn", "Type": "String", "DefaultValue": ""}],
        "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.ModelPackageArn"}}}],
    }
    sagemaker = session.client("sagemaker")
    pipeline = sagemaker.create_pipeline(
        PipelineName="release",
        PipelineDefinition=json.dumps(definition),
        RoleArn=role("sagemaker.amazonaws.com"),
        ClientRequestToken="t" * 32,
    )["PipelineArn"]
    parameters = [{"Name": "ModelPackageArn", "Value": "$.detail.ModelPackageArn"}]
    rule(
        session,
        {"detail": {"ModelApprovalStatus": ["Approved"]}},
        Arn=pipeline,
        RoleArn=role("events.amazonaws.com"),
        SageMakerPipelineParameters={"PipelineParameterList": parameters},
    )
    sagemaker.create_model_package_group(ModelPackageGroupName="mortgage")
    arn = sagemaker.create_model_package(ModelPackageGroupName="mortgage", ModelApprovalStatus="Approved")["ModelPackageArn"]
    (execution,) = until(lambda: sagemaker.list_pipeline_executions(PipelineName="release")["PipelineExecutionSummaries"])
    given = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution["PipelineExecutionArn"])["PipelineParameters"]
    assert given == [{"Name": "ModelPackageArn", "Value": arn}]


def test_a_queue_that_does_not_allow_it_gets_nothing_until_it_does(cloud: Cloud, account: str) -> None:
    session = cloud.session(account, REGION)
    sqs = session.client("sqs")
    url = sqs.create_queue(QueueName="seen")["QueueUrl"]
    arn = rule(session, {"source": ["mine"]}, Arn=queue_arn(account))
    session.client("events").put_events(Entries=[{"Source": "mine", "DetailType": "x", "Detail": "{}"}])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow("events.amazonaws.com", "sqs:SendMessage", queue_arn(account), arn)})
    session.client("events").put_events(Entries=[{"Source": "mine", "DetailType": "y", "Detail": "{}"}])
    messages = until(lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
    assert "y" in {json.loads(message["Body"])["detail-type"] for message in messages}


def test_a_disabled_rule_sends_nothing(cloud: Cloud, account: str) -> None:
    session = cloud.session(account, REGION)
    messages = queue(session, account, rule(session, {"source": ["mine"]}, Arn=queue_arn(account)))
    events = session.client("events")
    for number, switch in enumerate((events.disable_rule, events.enable_rule)):
        switch(Name="wanted")
        events.put_events(Entries=[{"Source": "mine", "DetailType": "x", "Detail": json.dumps({"n": number})}])
    assert [event["detail"] for event in until(messages)] == [{"n": 1}]


def test_bad_events_and_patterns_are_refused(cloud: Cloud, account: str) -> None:
    events = cloud.session(account, REGION).client("events")
    answer = events.put_events(
        Entries=[{"Source": "mine", "DetailType": "x", "Detail": "{"}, {"Source": "aws.sagemaker", "DetailType": "x", "Detail": "{}"}]
    )
    assert answer["FailedEntryCount"] == 2
    assert [entry["ErrorCode"] for entry in answer["Entries"]] == ["MalformedDetail", "NotAuthorizedForSourceException"]
    with pytest.raises(ClientError, match="InvalidEventPatternException"):
        events.put_rule(Name="bad", EventPattern='{"source": "x"}')
