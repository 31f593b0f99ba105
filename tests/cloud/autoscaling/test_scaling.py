"""Target tracking on a real endpoint: load adds instances, quiet takes them away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.autoscaling import scaler_of
from local.cloud.server import running
from tests.cloud.endpoints.deployments import until
from tests.cloud.endpoints.images import Site

RESOURCE = "endpoint/scaled/variant/AllTraffic"
WHERE = {"ServiceNamespace": "sagemaker", "ResourceId": RESOURCE, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An account with an endpoint of one instance."""
    with running(tmp_path_factory.mktemp("cloud"), speed=240) as cloud:
        site = Site(cloud)
        site.endpoint("scaled", site.config("scaled"))
        yield site


def count(site: Site) -> int:
    return int(site.sagemaker.describe_endpoint(EndpointName="scaled")["ProductionVariants"][0]["CurrentInstanceCount"])


def test_load_adds_instances_within_the_bounds_and_quiet_takes_them_away(site: Site) -> None:
    scaling = site.session.client("application-autoscaling")
    arn = scaling.register_scalable_target(**WHERE, MinCapacity=1, MaxCapacity=2, Tags={"team": "risk"})["ScalableTargetARN"]
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "risk"}
    scaling.tag_resource(ResourceARN=arn, Tags={"a": "b"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"a": "b"}
    configuration = {
        "TargetValue": 5.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 60,
        "ScaleOutCooldown": 60,
    }
    made = scaling.put_scaling_policy(
        PolicyName="follow", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=configuration, **WHERE
    )
    names = [a["AlarmName"] for a in made["Alarms"]]
    assert len(site.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2
    policy = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"][0]
    assert (policy["PolicyARN"], policy["TargetTrackingScalingPolicyConfiguration"]) == (made["PolicyARN"], configuration)

    with site.cloud.clock.tether(5) as tether:  # twelve requests a minute, however slow this machine answers them

        def busy() -> bool:
            site.ask("scaled")
            tether.pull(5)
            return count(site) == 2

        until(busy)
    store = site.cloudwatch
    high = next(n for n in names if "AlarmHigh" in n)
    store.set_alarm_state(AlarmName=high, StateValue="OK", StateReason="a test")

    def quiet() -> bool:
        site.cloud.clock.set(advance=60)
        site.ask("scaled")
        scaler_of(site.cloud).look()
        return count(site) == 1

    until(quiet)
    activities = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert [a["Description"] for a in activities][-1] == "Setting desired instance count to 2."

    scaling.delete_scaling_policy(PolicyName="follow", **WHERE)
    assert site.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []
    scaling.deregister_scalable_target(**WHERE)
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_the_type_of_a_scaled_variant_stays_and_its_model_may_change(site: Site) -> None:
    """Developer guide, "Update endpoints that use auto scaling"."""
    scaling = site.session.client("application-autoscaling")
    site.settled("scaled")
    scaling.register_scalable_target(**WHERE, MinCapacity=1, MaxCapacity=2)
    site.model("larger")
    larger = {"VariantName": "AllTraffic", "ModelName": "larger", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    site.sagemaker.create_endpoint_config(EndpointConfigName="larger", ProductionVariants=[larger])
    with pytest.raises(ClientError, match=r'"AllTraffic" must be deregistered as scalable targets') as refused:
        site.sagemaker.update_endpoint(EndpointName="scaled", EndpointConfigName="larger")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert site.sagemaker.describe_endpoint(EndpointName="scaled")["EndpointStatus"] == "InService"
    site.sagemaker.update_endpoint(EndpointName="scaled", EndpointConfigName=site.config("other-model"))
    assert site.settled("scaled")["EndpointConfigName"] == "other-model"
    scaling.deregister_scalable_target(**WHERE)
    site.sagemaker.update_endpoint(EndpointName="scaled", EndpointConfigName="larger")
    assert site.settled("scaled")["EndpointConfigName"] == "larger"


def test_what_does_not_fit_is_refused(site: Site) -> None:
    scaling = site.session.client("application-autoscaling")
    with pytest.raises(ClientError, match="doesn't exist"):
        scaling.register_scalable_target(**(WHERE | {"ResourceId": "endpoint/nobody/variant/v"}), MinCapacity=1, MaxCapacity=2)
    with pytest.raises(ClientError, match="Minimum capacity cannot be greater"):
        scaling.register_scalable_target(**WHERE, MinCapacity=3, MaxCapacity=2)
    with pytest.raises(ClientError) as caught:
        scaling.deregister_scalable_target(**WHERE)
    assert caught.value.response["Error"]["Code"] == "ObjectNotFoundException"
