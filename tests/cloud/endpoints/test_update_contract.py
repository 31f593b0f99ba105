"""UpdateEndpoint held against the limits of its request, row by row, and its errors. Nothing here starts a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cloud.endpoints.images import ACCOUNT, REGION, Site

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def endpoint(site: Site) -> Iterator[Any]:
    """An endpoint of four instances, the config it may be updated to, and a client that sends what it is given unchecked."""
    site.config("contract-blue", count=4)
    site.config("contract-green", count=4)
    site.endpoint("contract", "contract-blue")
    return_client = site.session.client("sagemaker", endpoint_url=site.cloud.url, config=Config(parameter_validation=False))
    yield return_client
    described = site.sagemaker.describe_endpoint(EndpointName="contract")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "contract-blue")
    assert "PendingDeploymentSummary" not in described


def routing(kind: str = "ALL_AT_ONCE", wait: Any = 0, **sizes: Any) -> dict[str, Any]:
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}}}


def size(kind: str, value: int) -> dict[str, Any]:
    return {"Type": kind, "Value": value}


def with_policy(**extra: Any) -> dict[str, Any]:
    config = routing()
    config["BlueGreenUpdatePolicy"] |= extra
    return config


def without(member: str) -> dict[str, Any]:
    config = deepcopy(routing())
    del config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"][member]
    return config


def rolling(value: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": value, "WaitIntervalInSeconds": 0, **extra}}


def alarms(*names: str) -> dict[str, Any]:
    return routing() | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": n} for n in names]}}


PERCENT = "CAPACITY_PERCENT"
COUNT = "INSTANCE_COUNT"

REFUSED = [
    ("both policies", routing() | rolling(size(PERCENT, 50)), "Only one update policy should be used"),
    ("no Type", without("Type"), "trafficRoutingConfiguration.type' failed to satisfy constraint: Member must not be null"),
    ("no WaitInterval", without("WaitIntervalInSeconds"), "waitIntervalInSeconds' failed to satisfy constraint: Member must not be null"),
    ("unknown Type", routing("FOO"), "Member must satisfy enum value set: [ALL_AT_ONCE, CANARY, LINEAR]"),
    ("WaitInterval too long", routing(wait=3601), "Member must have value less than or equal to 3600"),
    ("WaitInterval in words", routing(wait="soon"), "waitIntervalInSeconds' failed to satisfy constraint: Member must be a number"),
    ("WaitInterval negative", routing(wait=-1), "Member must have value greater than or equal to 0"),
    ("TerminationWait too long", with_policy(TerminationWaitInSeconds=3601), "Member must have value less than or equal to 3600"),
    ("time-out too short", with_policy(MaximumExecutionTimeoutInSeconds=599), "Member must have value greater than or equal to 600"),
    ("time-out too long", with_policy(MaximumExecutionTimeoutInSeconds=28801), "Member must have value less than or equal to 28800"),
    (
        "size without a type",
        routing("CANARY", CanarySize={"Value": 1}),
        "canarySize.type' failed to satisfy constraint: Member must not be",
    ),
    ("size of zero", routing("CANARY", CanarySize=size(PERCENT, 0)), "Member must have value greater than or equal to 1"),
    (
        "wrong enum of a size",
        routing("CANARY", CanarySize=size("CAPACITY_PERCENTAGE", 5)),
        "enum value set: [INSTANCE_COUNT, CAPACITY_PERCENT]",
    ),
    ("canary without a size", routing("CANARY"), "CanarySize must be specified"),
    ("canary above half", routing("CANARY", CanarySize=size(PERCENT, 51)), "CanarySize must be at most 50%"),
    ("canary of three of four", routing("CANARY", CanarySize=size(COUNT, 3)), "CanarySize must be at most 50%"),
    ("canary with a linear step", routing("CANARY", CanarySize=size(COUNT, 1), LinearStepSize=size(COUNT, 1)), "LinearStepSize can't be"),
    ("linear without a step", routing("LINEAR"), "LinearStepSize must be specified"),
    ("linear step too small", routing("LINEAR", LinearStepSize=size(PERCENT, 9)), "LinearStepSize must be between 10% and 50%"),
    ("linear step too large", routing("LINEAR", LinearStepSize=size(PERCENT, 51)), "LinearStepSize must be between 10% and 50%"),
    ("linear step of three of four", routing("LINEAR", LinearStepSize=size(COUNT, 3)), "LinearStepSize must be between 10% and 50%"),
    ("batch too small", rolling(size(PERCENT, 4)), "MaximumBatchSize must be between 5% and 50%"),
    ("batch too large", rolling(size(PERCENT, 51)), "MaximumBatchSize must be between 5% and 50%"),
    (
        "rollback batch too large",
        rolling(size(PERCENT, 50), RollbackMaximumBatchSize=size(PERCENT, 101)),
        "RollbackMaximumBatchSize must be",
    ),
    ("no alarms in the list", alarms(), "Member must have length greater than or equal to 1"),
    ("eleven alarms", alarms(*(f"a{i}" for i in range(11))), "Member must have length less than or equal to 10"),
    ("an alarm's name too long", alarms("a" * 256), "Member must have length less than or equal to 255"),
    ("an alarm's name of blanks", alarms("   "), r"Member must satisfy regular expression pattern: (?!\s*$).+"),
]


@pytest.mark.parametrize(("config", "text"), [(c, t) for _, c, t in REFUSED], ids=[n for n, _, _ in REFUSED])
def test_a_deployment_config_outside_the_limits_is_refused(endpoint: Any, config: dict[str, Any], text: str) -> None:
    with pytest.raises(ClientError) as caught:
        endpoint.update_endpoint(EndpointName="contract", EndpointConfigName="contract-green", DeploymentConfig=config)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert text in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"EndpointName": "-x"}, "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"),
        ({"EndpointConfigName": "a" * 64}, "Member must have length less than or equal to 63"),
        (
            {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "Colour"}]},
            "[DesiredInstanceCount, DesiredWeight, DataCaptureConfig]",
        ),
        ({"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}] * 4}, "length less than or equal to 3"),
        ({"EndpointName": "nobody"}, f'Could not find endpoint "{ARN}:endpoint/nobody".'),
        ({"EndpointConfigName": "nobody"}, f'Could not find endpoint configuration "{ARN}:endpoint-config/nobody".'),
    ],
)
def test_other_members_outside_the_limits_are_refused(endpoint: Any, request_: dict[str, Any], text: str) -> None:
    with pytest.raises(ClientError) as caught:
        endpoint.update_endpoint(**({"EndpointName": "contract", "EndpointConfigName": "contract-green"} | request_))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert text in caught.value.response["Error"]["Message"]


def test_a_token_of_nobody_is_refused(endpoint: Any) -> None:
    for listing in (endpoint.list_endpoints, endpoint.list_endpoint_configs, endpoint.list_models):
        with pytest.raises(ClientError, match="The NextToken is not valid") as caught:
            listing(NextToken="tomorrow")
        assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_several_violations_are_counted(endpoint: Any) -> None:
    with pytest.raises(ClientError, match=r"2 validation errors detected: .*; "):
        endpoint.update_endpoint(EndpointName="contract", EndpointConfigName="contract-green", DeploymentConfig=routing("FOO", 9999))


def test_the_variant_names_have_to_stay(site: Site, endpoint: Any) -> None:
    site.model("contract-other")
    variant = {"VariantName": "Other", "ModelName": "contract-other", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    site.sagemaker.create_endpoint_config(EndpointConfigName="contract-other", ProductionVariants=[variant])
    with pytest.raises(ClientError, match="production variant names"):
        endpoint.update_endpoint(EndpointName="contract", EndpointConfigName="contract-other")


def test_a_model_that_is_gone_is_refused(site: Site, endpoint: Any) -> None:
    site.config("contract-gone")
    site.sagemaker.delete_model(ModelName="contract-gone")
    with pytest.raises(ClientError, match=f'Could not find model "{ARN}:model/contract-gone"'):
        endpoint.update_endpoint(EndpointName="contract", EndpointConfigName="contract-gone")


@pytest.mark.parametrize("kind", ["model", "endpoint_config", "endpoint"])
def test_nothing_is_created_twice(site: Site, endpoint: Any, kind: str) -> None:
    words = {"model": "model", "endpoint_config": "endpoint configuration", "endpoint": "endpoint"}
    variant = {"VariantName": "AllTraffic", "ModelName": "contract-blue", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    again = {
        "model": partial(site.model, "contract-blue"),
        "endpoint_config": partial(site.sagemaker.create_endpoint_config, EndpointConfigName="contract-blue", ProductionVariants=[variant]),
        "endpoint": partial(site.sagemaker.create_endpoint, EndpointName="contract", EndpointConfigName="contract-blue"),
    }
    with pytest.raises(ClientError, match=f"Cannot create already existing {words[kind]} "):
        again[kind]()


def test_an_instance_type_that_does_not_exist_is_refused(site: Site, endpoint: Any) -> None:
    variant = {"VariantName": "v", "ModelName": "contract-blue", "InstanceType": "ml.toaster.large", "InitialInstanceCount": 1}
    with pytest.raises(ClientError, match=r"Value 'ml\.toaster\.large' at 'productionVariants\.1\.member\.instanceType'"):
        site.sagemaker.create_endpoint_config(EndpointConfigName="contract-bad", ProductionVariants=[variant])
