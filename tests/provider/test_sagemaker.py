"""Models, endpoints, feature groups, pipelines, groups of the registry, and the scaling of a variant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.cloud.context import Cloud
from tests.cloud.endpoints.images import ROLE, Site
from tests.provider.conftest import ACCOUNT
from tests.provider.door import CheckFailed, Door

ENDPOINT = "aws:sagemaker/endpoint:Endpoint"


@pytest.fixture(scope="module")
def site(cloud: Cloud) -> Site:
    return Site(cloud)


def test_groups_of_the_registry(door: Door) -> None:
    token = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"
    inputs = {"modelPackageGroupName": "mortgage", "modelPackageGroupDescription": "candidates"}
    group = door.cycle(token, inputs, {"tags": {"a": "b"}})
    assert group["arn"].endswith("model-package-group/mortgage")
    assert door.preview(group, {**inputs, "modelPackageGroupDescription": "x"}).replaces == ["modelPackageGroupDescription"]
    statement = {
        "Sid": "read",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": ["sagemaker:DescribeModelPackage"],
        "Resource": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/mortgage/*",
    }
    policy = {"modelPackageGroupName": "mortgage", "resourcePolicy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    wider = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Action": ["sagemaker:Describe*"]}]})
    held = door.cycle("aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy", policy, {"resourcePolicy": wider})
    door.gone(held)
    door.gone(group)


def test_feature_groups(door: Door, site: Site) -> None:
    inputs = {
        "featureGroupName": "applicants",
        "recordIdentifierFeatureName": "application",
        "eventTimeFeatureName": "time",
        "featureDefinitions": [
            {"featureName": "application", "featureType": "String"},
            {"featureName": "time", "featureType": "String"},
        ],
        "roleArn": ROLE,
        "onlineStoreConfig": {"enableOnlineStore": True},
        "offlineStoreConfig": {"s3StorageConfig": {"s3Uri": "s3://site/features"}, "disableGlueTableCreation": True},
    }
    token = "aws:sagemaker/featureGroup:FeatureGroup"
    held = door.cycle(token, inputs, {"tags": {"a": "b"}})
    assert held["arn"].endswith("feature-group/applicants")
    wrong = [{"featureName": "application", "featureType": "String"}, {"featureName": "time", "featureType": "Text"}]
    with pytest.raises(CheckFailed, match=r"featureDefinitions\[1\]\.featureType: expected one of"):
        door.check(held, {**inputs, "featureDefinitions": wrong})
    door.gone(held)


def test_pipelines(door: Door, site: Site) -> None:
    def definition(timeout: int, **layout: Any) -> str:
        parameters = [{"Name": "Reason", "Type": "String", "DefaultValue": f"after {timeout} s"}]
        step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Reason"}}}
        return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters, "Steps": [step]}, **layout)

    inputs = {"pipelineName": "release", "pipelineDisplayName": "release", "pipelineDefinition": definition(60), "roleArn": ROLE}
    token = "aws:sagemaker/pipeline:Pipeline"
    held = door.cycle(token, inputs, {"pipelineDefinition": definition(90), "pipelineDescription": "one step"})
    assert held["arn"].endswith("pipeline/release")
    wanted = {**inputs, "pipelineDescription": "one step", "pipelineDefinition": definition(90, indent=2)}
    assert door.preview(held, wanted).empty
    assert door.preview(held, {**wanted, "pipelineName": "other"}).replaces == ["pipelineName"]
    door.gone(held)


def test_another_network_of_a_model_passes_as_an_update_and_shows_again(door: Door, site: Site) -> None:
    """As with the official plugin, which replaces a model only where the network comes or goes."""
    container = {"image": site.image, "modelDataUrl": "s3://site/model.tar.gz"}
    network = {"subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    inputs = {"name": "inside", "executionRoleArn": ROLE, "primaryContainer": container, "vpcConfig": network}
    held = door.up(door.held("aws:sagemaker/model:Model"), inputs)
    wanted = {**inputs, "vpcConfig": {**network, "securityGroupIds": ["sg-2"]}}
    assert not door.preview(held, wanted).replaces
    held = door.up(held, wanted)
    assert site.sagemaker.describe_model(ModelName="inside")["VpcConfig"]["SecurityGroupIds"] == ["sg-1"]
    assert not door.preview(held, wanted).empty
    assert door.preview(held, {key: value for key, value in inputs.items() if key != "vpcConfig"}).replaces == ["vpcConfig"]
    assert door.preview(held, {**inputs, "primaryContainer": {**container, "image": f"{site.image}0"}}).replaces
    door.gone(held)


def test_an_endpoint_comes_up_changes_and_is_never_reverted_when_ignored(door: Door, site: Site) -> None:
    image = site.image
    data = "s3://site/model.tar.gz"
    model = door.cycle(
        "aws:sagemaker/model:Model",
        {
            "name": "one",
            "executionRoleArn": ROLE,
            "enableNetworkIsolation": True,
            "primaryContainer": {"image": image, "modelDataUrl": data, "environment": {"A": "b"}},
        },
        {"tags": {"a": "b"}},
    )
    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    variant = {
        "variantName": "main",
        "modelName": "one",
        "instanceType": "ml.m5.large",
        "initialInstanceCount": 1,
        "initialVariantWeight": 1,
    }
    capture = {
        "enableCapture": True,
        "initialSamplingPercentage": 50,
        "destinationS3Uri": "s3://site/capture",
        "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
        "captureContentTypeHeader": {"csvContentTypes": ["text/csv"], "jsonContentTypes": ["application/json"]},
    }
    settings = {"name": "first", "productionVariants": [variant], "dataCaptureConfig": capture}
    first = door.cycle(token, settings)
    assert door.preview(first, {**settings, "productionVariants": [{**variant, "initialInstanceCount": 2}]}).replaces
    second = door.up(door.held(token, "second"), {**settings, "name": "second"})
    inputs = {"name": "live", "endpointConfigName": "first"}
    endpoint = door.cycle(ENDPOINT, inputs, {"endpointConfigName": "second"})
    assert site.sagemaker.describe_endpoint(EndpointName="live")["EndpointConfigName"] == "second"
    ignored = door.diff(endpoint, door.check(endpoint, inputs), ignore=("endpointConfigName",))
    assert ignored.empty
    keys = {"serviceNamespace": "sagemaker", "resourceId": "endpoint/live/variant/main",
            "scalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
    scaled = door.cycle("aws:appautoscaling/target:Target", {**keys, "minCapacity": 1, "maxCapacity": 2}, {"maxCapacity": 3})
    tracking = {
        "predefinedMetricSpecification": {"predefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "targetValue": 100,
        "scaleInCooldown": 300,
        "scaleOutCooldown": 60,
    }
    policy = door.cycle(
        "aws:appautoscaling/policy:Policy",
        {**keys, "name": "load", "policyType": "TargetTrackingScaling", "targetTrackingScalingPolicyConfiguration": tracking},
        {"targetTrackingScalingPolicyConfiguration": {**tracking, "targetValue": 200}},
    )
    for made in (policy, scaled, endpoint, second, first, model):
        door.gone(made)
