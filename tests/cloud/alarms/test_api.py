"""CloudWatch over its three wire protocols, and alarms that are evaluated on the cloud's clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from local.cloud.server import running
from tests.cloud.endpoints.deployments import until

ACCOUNT, REGION = "111111111111", "us-east-1"
ALARM: dict[str, Any] = {
    "AlarmName": "a",
    "Namespace": "Site",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cloud a day ahead, at 120 times the speed of time."""
    with running(tmp_path_factory.mktemp("cloud"), speed=120, offset=86400) as cloud:
        yield cloud


@pytest.fixture(params=["smithy-rpc-v2-cbor", "json", "query"])
def client(cloud: Any, request: pytest.FixtureRequest) -> Any:
    """A client that speaks one of the protocols: botocore takes the first that the service's model lists."""
    return speaking(cloud, request.param)


def speaking(cloud: Any, protocol: str) -> Any:
    credentials = cloud.credentials(ACCOUNT)
    session = botocore.session.get_session()
    loader = session.get_component("data_loader")
    model = json.loads(json.dumps(loader.load_service_model("cloudwatch", "service-2")))
    model["metadata"]["protocol"], model["metadata"]["protocols"] = protocol, [protocol]
    original = loader.load_service_model

    def load(service: str, kind: str, api_version: str | None = None) -> Any:
        return model if (service, kind) == ("cloudwatch", "service-2") else original(service, kind, api_version)

    loader.load_service_model = load
    return session.create_client(
        "cloudwatch",
        REGION,
        endpoint_url=cloud.url,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
    )


@pytest.fixture
def cloudwatch(cloud: Any) -> Any:
    return cloud.session(ACCOUNT, REGION).client("cloudwatch")


def state(client: Any, name: str) -> str:
    return str(client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])


def test_what_is_put_is_read_back_in_every_protocol(cloud: Any, client: Any) -> None:
    name = f"m-{client.meta.service_model.protocol}"
    now = cloud.clock.now()
    dimensions = [{"Name": "d", "Value": "v"}]
    data: list[dict[str, Any]] = [
        {"MetricName": name, "Dimensions": dimensions, "Value": 2.5, "Timestamp": now, "Unit": "Count"},
        {"MetricName": name, "Dimensions": dimensions, "Values": [1.0, 4.0], "Counts": [2.0, 1.0], "Timestamp": now, "Unit": "Count"},
    ]
    client.put_metric_data(Namespace="Site", MetricData=data)
    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
    found = client.get_metric_statistics(
        Namespace="Site", MetricName=name, Dimensions=dimensions, Period=3600, Statistics=["Sum", "SampleCount", "Average"],
        ExtendedStatistics=["p50"], **span,
    )["Datapoints"]  # fmt: skip
    totals = [(p["Sum"], p["SampleCount"], p["Average"], p["ExtendedStatistics"]["p50"], p["Unit"]) for p in found]
    assert totals == [(8.5, 4.0, 2.125, 1.0, "Count")]
    stat = {"Metric": {"Namespace": "Site", "MetricName": name, "Dimensions": dimensions}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": "m1", "MetricStat": stat, "ReturnData": False}, {"Id": "e1", "Expression": "m1 * 2", "Label": "twice"}]
    results = client.get_metric_data(MetricDataQueries=queries, **span)["MetricDataResults"]
    assert [(r["Id"], r["Label"], r["Values"]) for r in results] == [("e1", "twice", [17.0])]
    listed = client.list_metrics(Namespace="Site", MetricName=name)["Metrics"]
    assert listed == [{"Namespace": "Site", "MetricName": name, "Dimensions": dimensions}]


def test_an_error_keeps_its_code_in_every_protocol(client: Any) -> None:
    calls = {
        "ResourceNotFound": partial(client.set_alarm_state, AlarmName="nobody", StateValue="OK", StateReason="x"),
        "NotImplemented": partial(client.put_composite_alarm, AlarmName="c", AlarmRule="ALARM(a)"),
        "InvalidNextToken": partial(client.describe_alarms, NextToken="tomorrow"),
        "ValidationError": partial(client.put_metric_alarm, **(ALARM | {"TreatMissingData": "perhaps"})),
        "InvalidParameterValue": partial(client.put_metric_data, Namespace="AWS/SageMaker", MetricData=[{"MetricName": "m", "Value": 1.0}]),
    }
    codes = {}
    for expected, call in calls.items():
        with pytest.raises(ClientError) as caught:
            call()
        codes[expected] = caught.value.response["Error"]["Code"]
    assert codes == {code: code for code in calls}


def test_a_token_of_nobody_lists_no_metrics(cloudwatch: Any) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.list_metrics(NextToken="tomorrow")
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_alarms_are_put_described_and_deleted_in_every_protocol(cloud: Any, client: Any) -> None:
    name = f"alarm-{client.meta.service_model.protocol}"
    given = ALARM | {
        "AlarmName": name,
        "AlarmDescription": "d",
        "DatapointsToAlarm": 1,
        "TreatMissingData": "ignore",
        "AlarmActions": ["x:y"],
    }
    client.put_metric_alarm(**given, Tags=[{"Key": "team", "Value": "risk"}])
    found = client.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"][0]
    assert {k: found[k] for k in given} == given
    assert (found["ActionsEnabled"], found["StateValue"]) == (True, "INSUFFICIENT_DATA")
    assert abs((found["AlarmConfigurationUpdatedTimestamp"] - cloud.clock.now()).total_seconds()) < 600
    assert client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == [{"Key": "team", "Value": "risk"}]
    client.delete_alarms(AlarmNames=[name])
    assert client.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_a_new_alarm_without_data_is_looked_at_promptly(cloudwatch: Any) -> None:
    expected = {"missing": "INSUFFICIENT_DATA", "ignore": "INSUFFICIENT_DATA", "breaching": "ALARM", "notBreaching": "OK"}
    for treatment in expected:
        cloudwatch.put_metric_alarm(**(ALARM | {"AlarmName": treatment, "MetricName": "nothing", "TreatMissingData": treatment}))
    until(lambda: {t: state(cloudwatch, t) for t in expected} == expected)


def test_data_move_an_alarm_to_alarm_and_their_end_moves_it_back(cloud: Any, cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**(ALARM | {"AlarmName": "moves", "MetricName": "moves", "TreatMissingData": "notBreaching"}))
    until(lambda: state(cloudwatch, "moves") == "OK")
    cloudwatch.put_metric_data(Namespace="Site", MetricData=[{"MetricName": "moves", "Value": 5.0}])
    until(lambda: state(cloudwatch, "moves") == "ALARM")
    reason = cloudwatch.describe_alarms(AlarmNames=["moves"])["MetricAlarms"][0]["StateReason"]
    assert reason == "Threshold Crossed: 1 datapoint [5.0] was greater than the threshold (1.0)."
    cloud.clock.set(advance=600)
    until(lambda: state(cloudwatch, "moves") == "OK")
    history = cloudwatch.describe_alarm_history(AlarmName="moves", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert [h["HistorySummary"] for h in history][:2] == ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM"]


def test_an_alarm_goes_through_what_time_leapt_over(cloud: Any, cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**(ALARM | {"AlarmName": "leapt", "MetricName": "leapt", "TreatMissingData": "notBreaching"}))
    until(lambda: state(cloudwatch, "leapt") == "OK")
    cloudwatch.put_metric_data(Namespace="Site", MetricData=[{"MetricName": "leapt", "Value": 5.0}])
    cloud.clock.set(advance=7200)

    def changes() -> list[str]:
        history = cloudwatch.describe_alarm_history(AlarmName="leapt", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
        return [h["HistorySummary"] for h in history][:2]

    until(lambda: changes() == ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM"])


def test_an_alarm_on_an_expression(cloud: Any, cloudwatch: Any) -> None:
    def metric(query: str, name: str) -> dict[str, Any]:
        stat = {"Metric": {"Namespace": "Site", "MetricName": name}, "Period": 60, "Stat": "Sum"}
        return {"Id": query, "MetricStat": stat, "ReturnData": False}

    queries = [metric("errors", "errors"), metric("all", "all"), {"Id": "rate", "Expression": "IF(all > 0, 100 * errors / all, 0)"}]
    cloudwatch.put_metric_alarm(
        AlarmName="rate", Metrics=queries, EvaluationPeriods=1, Threshold=10.0, ComparisonOperator="GreaterThanThreshold"
    )
    data = [{"MetricName": "errors", "Value": 2.0}, {"MetricName": "all", "Value": 10.0}]
    cloudwatch.put_metric_data(Namespace="Site", MetricData=data)
    until(lambda: state(cloudwatch, "rate") == "ALARM")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Period": 45}, "multiple of 60"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal"),
        ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic"),
        ({"EvaluationPeriods": 1441}, "more than a day"),
        ({"ComparisonOperator": "Bigger"}, "Member must satisfy enum value set"),
    ],
)
def test_an_alarm_that_makes_no_sense_is_refused(cloudwatch: Any, change: dict[str, Any], text: str) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_metric_alarm(**(ALARM | change))
    assert text in caught.value.response["Error"]["Message"]


def test_expressions_that_wait_for_one_another_are_refused(cloud: Any, cloudwatch: Any) -> None:
    queries = [{"Id": "e1", "Expression": "e2 + 1"}, {"Id": "e2", "Expression": "e1 + 1", "ReturnData": False}]
    rest = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    now = cloud.clock.now()
    for call in (
        partial(cloudwatch.put_metric_alarm, AlarmName="cycle", Metrics=queries, **rest),
        partial(cloudwatch.get_metric_data, MetricDataQueries=queries, StartTime=now - timedelta(hours=1), EndTime=now),
    ):
        with pytest.raises(ClientError, match="Circular dependency: e1, e2") as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_an_expression_that_gives_no_number_stops_no_other_alarm(cloudwatch: Any) -> None:
    stat = {"Metric": {"Namespace": "Site", "MetricName": "large"}, "Period": 60, "Stat": "Sum"}
    queries = [{"Id": "m1", "MetricStat": stat, "ReturnData": False}, {"Id": "e1", "Expression": "m1 ^ 1000"}]
    rest = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    cloudwatch.put_metric_data(Namespace="Site", MetricData=[{"MetricName": "large", "Value": 10.0}])
    cloudwatch.put_metric_alarm(AlarmName="large", Metrics=queries, TreatMissingData="notBreaching", **rest)
    later = ALARM | {"AlarmName": "large-later", "MetricName": "large", "Threshold": 5.0, "TreatMissingData": "notBreaching"}
    cloudwatch.put_metric_alarm(**later)
    until(lambda: state(cloudwatch, "large-later") == "ALARM")
    assert state(cloudwatch, "large") == "OK"


def test_a_unit_that_is_given_is_the_only_one_that_counts(cloud: Any, cloudwatch: Any) -> None:
    now = cloud.clock.now()
    data = [{"MetricName": "took", "Value": v, "Unit": u, "Timestamp": now} for v, u in ((9000.0, "Microseconds"), (2.0, "Milliseconds"))]
    cloudwatch.put_metric_data(Namespace="Site", MetricData=data)
    units = ("Seconds", "Milliseconds", "Microseconds")
    for unit in units:
        changes = {"AlarmName": unit, "MetricName": "took", "Unit": unit, "Threshold": 1.5, "TreatMissingData": "notBreaching"}
        cloudwatch.put_metric_alarm(**(ALARM | changes))
    states = {"Seconds": "OK", "Milliseconds": "ALARM", "Microseconds": "ALARM"}
    until(lambda: {unit: state(cloudwatch, unit) for unit in units} == states)

    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
    asked = partial(cloudwatch.get_metric_statistics, Namespace="Site", MetricName="took", Period=3600, Statistics=["Sum"], **span)
    assert [(p["Sum"], p["Unit"]) for p in asked(Unit="Milliseconds")["Datapoints"]] == [(2.0, "Milliseconds")]
    assert asked(Unit="Seconds")["Datapoints"] == []
    assert sorted(p["Unit"] for p in asked()["Datapoints"]) == ["Microseconds", "Milliseconds"]
    stat = {"Metric": {"Namespace": "Site", "MetricName": "took"}, "Period": 60, "Stat": "Sum", "Unit": "Milliseconds"}
    results = cloudwatch.get_metric_data(MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], **span)["MetricDataResults"]
    assert results[0]["Values"] == [2.0]


def test_an_alarm_notifies_its_topic_and_the_event_bus(cloud: Any, cloudwatch: Any) -> None:
    session = cloud.session(ACCOUNT, REGION)
    sns, sqs, events = session.client("sns"), session.client("sqs"), session.client("events")
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    queues = {n: sqs.create_queue(QueueName=n, Attributes={"Policy": policy})["QueueUrl"] for n in ("topic", "bus")}
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:topic")
    pattern = json.dumps({"source": ["aws.cloudwatch"], "detail": {"alarmName": ["loud"]}})
    events.put_rule(Name="alarms", EventPattern=pattern)
    events.put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:bus"}])
    cloudwatch.put_metric_alarm(**(ALARM | {"AlarmName": "loud", "AlarmActions": [topic], "MetricName": "loud"}))
    cloudwatch.set_alarm_state(AlarmName="loud", StateValue="ALARM", StateReason="a test")

    def received(queue: str) -> Any:
        messages = sqs.receive_message(QueueUrl=queues[queue]).get("Messages")
        return json.loads(messages[0]["Body"]) if messages else None

    assert json.loads(until(lambda: received("topic"))["Message"])["NewStateValue"] == "ALARM"
    assert until(lambda: received("bus"))["detail"]["state"]["value"] == "ALARM"
