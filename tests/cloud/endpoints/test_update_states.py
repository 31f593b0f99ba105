"""UpdateEndpoint's state machine, with real serving processes and alarms that real metrics trip."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.endpoints.switches import Switches
from tests.cloud.endpoints.deployments import baking, canary, skip_bakes, until
from tests.cloud.endpoints.images import Site


def alarm_on_errors(site: Site, name: str, endpoint: str, config: str) -> str:
    site.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
            {"Name": "EndpointConfigName", "Value": config},
        ],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    until(lambda: site.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "OK")
    return name


def alarm_without_data(site: Site, name: str, missing: str = "ignore") -> None:
    """An alarm whose state is what a test sets, or what `missing` makes of data that never come."""
    site.cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="X", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=0.0,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData=missing,
    )  # fmt: skip


def pair(site: Site, name: str, environment: dict[str, str] | None = None, count: int = 2) -> tuple[str, str]:
    blue, green = site.config(f"{name}-blue", count=count), site.config(f"{name}-green", environment, count=count)
    site.endpoint(name, blue)
    return blue, green


def test_a_good_canary_goes_through_its_stages_and_serves(site: Site) -> None:
    blue, green = pair(site, "good")
    site.sagemaker.update_endpoint(EndpointName="good", EndpointConfigName=green, DeploymentConfig=canary(3600))
    during = site.sagemaker.describe_endpoint(EndpointName="good")
    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", blue)
    assert during["LastDeploymentConfig"] == canary(3600)
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == green
    pending = until(baking(site, "good"))
    assert "Baking for 3600 seconds (WaitIntervalInSeconds) with traffic enabled on canary" in str(pending)
    assert {site.ask("good")["name"] for _ in range(8)} == {blue, green}
    changes = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    refusals: list[Callable[[], Any]] = [
        partial(site.sagemaker.update_endpoint, EndpointName="good", EndpointConfigName=green),
        partial(site.sagemaker.delete_endpoint, EndpointName="good"),
        partial(site.sagemaker.update_endpoint_weights_and_capacities, EndpointName="good", DesiredWeightsAndCapacities=changes),
    ]
    for refused in refusals:
        with pytest.raises(ClientError, match=r'Cannot update in-progress endpoint "arn:aws:sagemaker:.*:endpoint/good"'):
            refused()
    skip_bakes(site, "good")
    after = site.settled("good")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", green)
    assert "PendingDeploymentSummary" not in after
    assert "FailureReason" not in after
    assert {site.ask("good")["name"] for _ in range(4)} == {green}
    image = after["ProductionVariants"][0]["DeployedImages"][0]
    assert image["ResolvedImage"] == site.image


def test_an_alarm_that_real_errors_trip_takes_everything_back(site: Site) -> None:
    blue, green = pair(site, "bad", {"FAIL": "always"})
    alarm = alarm_on_errors(site, "bad-errors", "bad", green)
    deployment = canary(1200, alarms=(alarm,))
    site.sagemaker.update_endpoint(EndpointName="bad", EndpointConfigName=green, DeploymentConfig=deployment)
    until(baking(site, "bad"))
    codes: set[str] = set()
    while site.sagemaker.describe_endpoint(EndpointName="bad")["EndpointStatus"] == "Updating":
        try:
            site.ask("bad")
        except ClientError as error:
            codes.add(error.response["Error"]["Code"])
    assert codes == {"ModelError"}
    after = site.settled("bad")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", blue)
    assert alarm in after["FailureReason"]
    assert after["LastDeploymentConfig"] == deployment
    assert {site.ask("bad")["name"] for _ in range(6)} == {blue}
    assert after["ProductionVariants"][0]["CurrentInstanceCount"] == 2

    site.sagemaker.update_endpoint(EndpointName="bad", EndpointConfigName=site.config("bad-next"), DeploymentConfig=canary(0, 0))
    assert "FailureReason" not in site.settled("bad")


def test_an_alarm_during_the_last_bake_takes_everything_back_too(site: Site) -> None:
    blue, green = pair(site, "late", count=1)
    alarm_without_data(site, "late")
    site.sagemaker.update_endpoint(EndpointName="late", EndpointConfigName=green, DeploymentConfig=canary(0, 3600, alarms=("late",)))
    until(lambda: "TerminationWaitInSeconds" in str(baking(site, "late")()))
    assert site.ask("late")["name"] == green
    site.cloudwatch.set_alarm_state(AlarmName="late", StateValue="ALARM", StateReason="a test")
    assert site.settled("late")["EndpointConfigName"] == blue
    assert site.ask("late")["name"] == blue


def test_a_bake_that_time_leaps_over_still_ends_on_what_its_alarms_say(site: Site) -> None:
    blue, green = pair(site, "leap", {"FAIL": "always"}, count=1)
    alarm = alarm_on_errors(site, "leap-errors", "leap", green)
    site.sagemaker.update_endpoint(EndpointName="leap", EndpointConfigName=green, DeploymentConfig=canary(0, 3600, alarms=(alarm,)))
    until(lambda: "TerminationWaitInSeconds" in str(baking(site, "leap")()))
    with pytest.raises(ClientError, match="model failed"):
        site.ask("leap")
    site.cloud.clock.set(advance=7200)
    after = site.settled("leap")
    assert after["EndpointConfigName"] == blue
    assert alarm in after["FailureReason"]


def test_an_alarm_that_rings_while_blue_is_deleted_takes_everything_back_though_it_is_ok_again(site: Site) -> None:
    blue, green = pair(site, "leaving", count=1)
    alarm_without_data(site, "leaving")
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "leaving"}]}}
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.ask, "leaving", b"sleep 2.5")  # blue is drained for as long
        until(lambda: any(i.load for _, i in site.serving("leaving").fleet.everyone()))
        site.sagemaker.update_endpoint(EndpointName="leaving", EndpointConfigName=green, DeploymentConfig=alarms)
        until(lambda: '"Deleting"' in json.dumps(site.sagemaker.describe_endpoint(EndpointName="leaving"), default=str))
        for state in ("ALARM", "OK"):
            site.cloudwatch.set_alarm_state(AlarmName="leaving", StateValue=state, StateReason="a test")
        assert not slow.done()
        assert slow.result()["name"] == blue
    after = site.settled("leaving")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", blue)
    assert "leaving" in after["FailureReason"]
    assert site.ask("leaving")["name"] == blue


@pytest.mark.parametrize(("switch", "serves"), [("rollback_at_first_bake", "blue"), ("ignore", "green")])
def test_an_alarm_that_was_in_alarm_before_is_a_switch(site: Site, switch: Any, serves: str) -> None:
    name = f"before-{serves}"
    pair(site, name, count=1)
    alarm_without_data(site, name, missing="breaching")
    until(lambda: site.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM")
    site.serving(name).switches = Switches(alarm_before=switch)
    site.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-green", DeploymentConfig=canary(60, 0, alarms=(name,)))
    assert site.settled(name)["EndpointConfigName"] == f"{name}-{serves}"


@pytest.mark.parametrize("fault", ["start"])
def test_green_that_does_not_start_is_taken_back_and_blue_keeps_serving(site: Site, fault: str) -> None:
    blue, green = pair(site, "dead", {"FAIL": fault}, count=1)
    site.sagemaker.update_endpoint(EndpointName="dead", EndpointConfigName=green, DeploymentConfig=canary())
    after = site.settled("dead")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", blue)
    assert "did not pass the ping health check" in after["FailureReason"]
    assert site.ask("dead")["name"] == blue


def test_a_deployment_that_takes_too_long_is_taken_back(site: Site) -> None:
    blue, green = pair(site, "slow", count=1)
    deployment = canary(3600, MaximumExecutionTimeoutInSeconds=600)
    site.sagemaker.update_endpoint(EndpointName="slow", EndpointConfigName=green, DeploymentConfig=deployment)
    until(baking(site, "slow"))
    site.cloud.clock.set(advance=601)
    after = site.settled("slow")
    assert after["EndpointConfigName"] == blue
    assert "time-out of 600 seconds" in after["FailureReason"]


def test_linear_shifts_in_equal_steps(site: Site) -> None:
    _, green = pair(site, "steps", count=2)
    routing = {"Type": "LINEAR", "WaitIntervalInSeconds": 3600, "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50}}
    site.sagemaker.update_endpoint(
        EndpointName="steps", EndpointConfigName=green, DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    )
    until(baking(site, "steps"))
    names = [site.ask("steps")["name"] for _ in range(8)]
    assert names.count(green) == 4
    skip_bakes(site, "steps")
    assert site.settled("steps")["EndpointConfigName"] == green


def test_rolling_replaces_in_batches_and_takes_back_what_it_did(site: Site) -> None:
    blue, green = pair(site, "roll", count=2)
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 60}
    config: dict[str, Any] = {"RollingUpdatePolicy": policy}
    site.sagemaker.update_endpoint(EndpointName="roll", EndpointConfigName=green, DeploymentConfig=config)
    assert site.settled("roll")["EndpointConfigName"] == green
    alarm_without_data(site, "roll")
    config["RollingUpdatePolicy"]["WaitIntervalInSeconds"] = 3600
    config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "roll"}]}
    site.sagemaker.update_endpoint(EndpointName="roll", EndpointConfigName=blue, DeploymentConfig=config)
    until(baking(site, "roll"))
    site.cloudwatch.set_alarm_state(AlarmName="roll", StateValue="ALARM", StateReason="a test")
    after = site.settled("roll")
    assert after["EndpointConfigName"] == green
    assert after["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert {site.ask("roll")["name"] for _ in range(4)} == {green}


def test_a_rollback_that_fails_serves_a_mix_and_the_next_update_heals_it(site: Site) -> None:
    blue, green = pair(site, "mixed", count=2)
    alarm_without_data(site, "mixed")
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 3600}
    config = {"RollingUpdatePolicy": policy, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "mixed"}]}}
    site.sagemaker.update_endpoint(EndpointName="mixed", EndpointConfigName=green, DeploymentConfig=config)
    until(baking(site, "mixed"))
    site.cloud.clock.set(advance=3600)  # the first batch of blue is deleted
    until(lambda: site.serving("mixed").fleet.count("AllTraffic") == 1 and baking(site, "mixed")())
    for archive in (site.cloud.home / "endpoints").glob("mixed-*/artefacts/AllTraffic/model.tar.gz"):
        archive.write_bytes(b"no longer an archive")
    site.cloudwatch.set_alarm_state(AlarmName="mixed", StateValue="ALARM", StateReason="a test")
    after = site.settled("mixed")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("UpdateRollbackFailed", blue)
    assert "The rollback failed" in after["FailureReason"]
    assert {site.ask("mixed")["name"] for _ in range(9)} == {blue, green}
    changes = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    with pytest.raises(ClientError, match="UpdateRollbackFailed"):
        site.sagemaker.update_endpoint_weights_and_capacities(EndpointName="mixed", DesiredWeightsAndCapacities=changes)
    assert site.sagemaker.describe_endpoint(EndpointName="mixed")["FailureReason"] == after["FailureReason"]
    site.sagemaker.update_endpoint(EndpointName="mixed", EndpointConfigName=site.config("mixed-next"))
    healed = site.settled("mixed")
    assert (healed["EndpointStatus"], healed["EndpointConfigName"]) == ("InService", "mixed-next")
    assert {site.ask("mixed")["name"] for _ in range(6)} == {"mixed-next"}


@pytest.mark.parametrize(("switch", "serves"), [("ignore", "green"), ("rollback", "blue")])
def test_an_alarm_that_does_not_exist_is_a_switch(site: Site, switch: Any, serves: str) -> None:
    name = f"lost-{serves}"
    pair(site, name, count=1)
    site.serving(name).switches = Switches(missing_alarm=switch)
    site.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=f"{name}-green", DeploymentConfig=canary(60, 0, alarms=("nobody",))
    )
    assert site.settled(name)["EndpointConfigName"] == f"{name}-{serves}"


def test_a_deleted_endpoint_is_gone_with_its_processes(site: Site) -> None:
    site.endpoint("gone", site.config("gone", count=2))
    processes = [i.process for _, i in site.serving("gone").fleet.everyone()]
    assert [p.poll() for p in processes] == [None, None]
    site.sagemaker.delete_endpoint(EndpointName="gone")

    def missing() -> str:
        try:
            site.sagemaker.describe_endpoint(EndpointName="gone")
        except ClientError as error:
            return str(error.response["Error"]["Message"])
        return ""

    assert until(missing) == 'Could not find endpoint "arn:aws:sagemaker:us-east-1:111111111111:endpoint/gone".'
    assert all(p.poll() is not None for p in processes)
    assert not list((site.cloud.home / "endpoints").glob("gone-*"))


def test_eventbridge_hears_of_every_step(site: Site) -> None:
    sqs, events = site.session.client("sqs"), site.session.client("events")
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    queue = sqs.create_queue(QueueName="endpoints", Attributes={"Policy": policy})["QueueUrl"]
    events.put_rule(Name="endpoints", EventPattern=json.dumps({"source": ["aws.sagemaker"], "detail": {"EndpointName": ["told"]}}))
    events.put_targets(Rule="endpoints", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:111111111111:endpoints"}])
    _, green = pair(site, "told", count=1)
    site.sagemaker.update_endpoint(EndpointName="told", EndpointConfigName=green, DeploymentConfig=canary(60, 60))
    site.settled("told")
    seen: set[tuple[str, str]] = set()

    def heard() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            pending = event["detail"].get("PendingDeploymentSummary")
            status = pending["ProductionVariants"][0]["VariantStatus"][0]["Status"] if pending else event["detail"]["EndpointStatus"]
            seen.add((event["detail-type"].removeprefix("SageMaker Endpoint "), status))
        return ("State Change", "IN_SERVICE") in seen and len(seen) >= 7

    until(heard)
    steps = {"Creating", "ActivatingTraffic", "Baking", "Deleting"}
    assert seen == {("Deployment State Change", s) for s in steps} | {("State Change", s) for s in ("CREATING", "UPDATING", "IN_SERVICE")}


def test_a_role_that_sagemaker_may_not_assume_is_refused(site: Site) -> None:
    with pytest.raises(ClientError, match="Could not assume role") as caught:
        site.sagemaker.create_model(
            ModelName="norole", ExecutionRoleArn="arn:aws:iam::111111111111:role/nobody", PrimaryContainer={"Image": site.image}
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_counts_come_from_the_new_config_unless_they_are_retained(site: Site) -> None:
    blue, green = pair(site, "keep", count=1)
    site.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="keep", DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2, "DesiredWeight": 3.0}]
    )
    assert site.settled("keep")["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    site.sagemaker.update_endpoint(
        EndpointName="keep", EndpointConfigName=green, RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded
    )
    variant = site.settled("keep")["ProductionVariants"][0]
    assert (variant["DesiredInstanceCount"], variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 2, 1.0)
    site.sagemaker.update_endpoint(EndpointName="keep", EndpointConfigName=blue)
    assert site.settled("keep")["ProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_the_last_deployment_config_is_used_again_on_request(site: Site) -> None:
    blue, green = pair(site, "again", count=1)
    site.sagemaker.update_endpoint(EndpointName="again", EndpointConfigName=green, DeploymentConfig=canary(60, 0))
    site.settled("again")
    site.sagemaker.update_endpoint(EndpointName="again", EndpointConfigName=blue, RetainDeploymentConfig=True)
    assert site.settled("again")["LastDeploymentConfig"] == canary(60, 0)
    site.sagemaker.update_endpoint(EndpointName="again", EndpointConfigName=green)
    assert "LastDeploymentConfig" not in site.settled("again")


def test_a_config_that_is_deleted_while_in_use_makes_later_updates_fail(site: Site) -> None:
    blue, green = pair(site, "orphan", count=1)
    site.sagemaker.delete_endpoint_config(EndpointConfigName=blue)
    with pytest.raises(ClientError, match=f'Could not find endpoint configuration ".*{blue}"'):
        site.sagemaker.update_endpoint(EndpointName="orphan", EndpointConfigName=green)
    assert site.ask("orphan")["name"] == blue


def test_an_endpoint_that_fails_to_start_is_failed_and_can_only_be_deleted(site: Site) -> None:
    described = site.endpoint("failed", site.config("failed", {"FAIL": "start"}))
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        site.sagemaker.update_endpoint(EndpointName="failed", EndpointConfigName="failed")
    with pytest.raises(ClientError, match="not found"):
        site.ask("failed")
    site.sagemaker.delete_endpoint(EndpointName="failed")
    until(lambda: "failed" not in [e["EndpointName"] for e in site.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]])


def test_model_data_that_is_not_there_fails_the_endpoint_with_the_reason(site: Site) -> None:
    container = {"Image": site.image, "ModelDataUrl": "s3://site/nothing.tar.gz"}
    model = {"ModelName": "nodata", "ExecutionRoleArn": "arn:aws:iam::111111111111:role/serving", "PrimaryContainer": container}
    with pytest.raises(ClientError, match=r"Could not access model data at s3://site/nothing\.tar\.gz"):
        site.sagemaker.create_model(**model)
    s3 = site.session.client("s3")
    s3.put_object(Bucket="site", Key="nothing.tar.gz", Body=b"")
    site.sagemaker.create_model(**model)
    s3.delete_object(Bucket="site", Key="nothing.tar.gz")
    variant = {"VariantName": "v", "ModelName": "nodata", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    site.sagemaker.create_endpoint_config(EndpointConfigName="nodata", ProductionVariants=[variant])
    described = site.endpoint("nodata", "nodata")
    assert described["EndpointStatus"] == "Failed"
    assert "Failed to download model data" in described["FailureReason"]
