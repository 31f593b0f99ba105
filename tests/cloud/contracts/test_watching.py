"""CloudWatch and its logs: numbers and lines are there again when asked for, alarms say what they watch."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cloud.aws import Aws
from tests.cloud.contracts.waiting import code, until

ALARM = {
    "AlarmName": "errors",
    "Namespace": "contract",
    "MetricName": "Errors",
    "Dimensions": [{"Name": "Endpoint", "Value": "mortgage"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}


def test_numbers_add_up_by_dimension(aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    moment = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    for endpoint, values in {"mortgage": [1.0, 2.0, 6.0], "other": [100.0]}.items():
        dimensions = [{"Name": "Endpoint", "Value": endpoint}]
        metric = {"MetricName": "Errors", "Dimensions": dimensions, "Timestamp": moment, "Unit": "Count"}
        data = [{**metric, "Value": value} for value in values]
        cloudwatch.put_metric_data(Namespace="contract", MetricData=data)

    def points() -> Any:
        return cloudwatch.get_metric_statistics(
            Namespace="contract",
            MetricName="Errors",
            Dimensions=ALARM["Dimensions"],
            StartTime=moment - timedelta(minutes=1),
            EndTime=moment + timedelta(minutes=2),
            Period=60,
            Statistics=["Sum", "SampleCount", "Maximum", "Average"],
        )["Datapoints"]

    (point,) = until(points)
    assert (point["Sum"], point["SampleCount"], point["Maximum"], point["Average"]) == (9.0, 3.0, 6.0, 3.0)
    listed = cloudwatch.list_metrics(Namespace="contract", MetricName="Errors")["Metrics"]
    assert sorted(metric["Dimensions"][0]["Value"] for metric in listed) == ["mortgage", "other"]


def test_an_alarm_is_what_was_put(aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM)
    (found,) = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert {name: found[name] for name in ALARM} == ALARM
    assert found["AlarmArn"] == aws.arn("cloudwatch", "alarm:errors")
    assert found["ActionsEnabled"] is True
    cloudwatch.put_metric_alarm(**{**ALARM, "Threshold": 7.0})
    (changed,) = cloudwatch.describe_alarms(AlarmNamePrefix="err")["MetricAlarms"]
    assert changed["Threshold"] == 7.0
    cloudwatch.delete_alarms(AlarmNames=["errors"])
    assert cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"] == []


def test_an_alarm_can_be_told_its_state(aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(**{**ALARM, "TreatMissingData": "ignore"})  # an evaluation without data keeps the state
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a drill")
    (found,) = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert (found["StateValue"], found["StateReason"]) == ("ALARM", "a drill")
    assert code(cloudwatch.set_alarm_state, AlarmName="none", StateValue="OK", StateReason="x") == "ResourceNotFound"


def test_lines_are_kept_in_order_of_time(aws: Aws) -> None:
    logs, place = aws("logs"), {"logGroupName": "/contract/jobs", "logStreamName": "job-1/algo-1"}
    assert code(logs.create_log_stream, **place) == "ResourceNotFoundException"
    logs.create_log_group(logGroupName=place["logGroupName"])
    assert code(logs.create_log_group, logGroupName=place["logGroupName"]) == "ResourceAlreadyExistsException"
    logs.create_log_stream(**place)
    now = int(time.time() * 1000)
    for first in (0, 2):
        logs.put_log_events(**place, logEvents=[{"timestamp": now + n, "message": f"line {n}"} for n in (first, first + 1)])
    events = logs.get_log_events(**place, startFromHead=True)["events"]
    assert [(event["timestamp"] - now, event["message"]) for event in events] == [(n, f"line {n}") for n in range(4)]
    logs.put_retention_policy(logGroupName=place["logGroupName"], retentionInDays=30)
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/contract/")["logGroups"]
    assert group["retentionInDays"] == 30
