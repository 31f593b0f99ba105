"""What the program registers: the same resources in every environment, none without an owner, provider or name."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.errors import ConfigError, UsageError
from tests.infra.rendering import PROJECT, STACKS, Registered, Rendered, leaves, render
from tests.infra.test_config import edit, put

# The contract with the providers: type token -> number in each environment.
TYPES = {
    "aws:appautoscaling/policy:Policy": 1,
    "aws:appautoscaling/target:Target": 1,
    "aws:cloudwatch/eventRule:EventRule": 1,
    "aws:cloudwatch/eventTarget:EventTarget": 1,
    "aws:cloudwatch/logGroup:LogGroup": 4,
    "aws:cloudwatch/metricAlarm:MetricAlarm": 2,
    "aws:dynamodb/table:Table": 1,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": 1,
    "aws:ec2/flowLog:FlowLog": 1,
    "aws:ec2/routeTable:RouteTable": 1,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": 2,
    "aws:ec2/securityGroup:SecurityGroup": 3,
    "aws:ec2/subnet:Subnet": 2,
    "aws:ec2/vpc:Vpc": 1,
    "aws:ec2/vpcEndpoint:VpcEndpoint": 10,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": 2,
    "aws:ecr/repository:Repository": 2,
    "aws:ecr/repositoryPolicy:RepositoryPolicy": 2,
    "aws:iam/policy:Policy": 1,
    "aws:iam/role:Role": 6,
    "aws:iam/rolePolicy:RolePolicy": 6,
    "aws:kms/alias:Alias": 4,
    "aws:kms/key:Key": 4,
    "aws:s3/bucket:Bucket": 5,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 5,
    "aws:s3/bucketLogging:BucketLogging": 4,
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": 1,
    "aws:s3/bucketObjectv2:BucketObjectv2": 2,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": 5,
    "aws:s3/bucketPolicy:BucketPolicy": 5,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 5,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 5,
    "aws:s3/bucketVersioning:BucketVersioning": 5,
    "aws:sagemaker/endpoint:Endpoint": 1,
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": 1,
    "aws:sagemaker/featureGroup:FeatureGroup": 1,
    "aws:sagemaker/model:Model": 1,
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": 1,
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": 1,
    "aws:sagemaker/pipeline:Pipeline": 3,
    "aws:sns/topic:Topic": 1,
    "aws:sns/topicPolicy:TopicPolicy": 1,
    "aws:sns/topicSubscription:TopicSubscription": 1,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": 6,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": 3,
}
PHYSICAL_NAME_KEYS = ("bucket", "name", "modelPackageGroupName", "featureGroupName", "pipelineName")


@pytest.mark.parametrize("stack", STACKS)
def test_types_and_their_numbers(rendered: dict[str, Rendered], stack: str) -> None:
    assert dict(Counter(each.token for each in rendered[stack].aws)) == TYPES


def test_environments_have_the_same_resources(rendered: dict[str, Rendered]) -> None:
    def shape(one: Rendered) -> set[tuple[str, str, str, tuple[str, ...]]]:
        return {(each.token, each.name, each.parent.split("::", 2)[2], each.ignore_changes) for each in one.resources[1:]}

    assert shape(rendered["dev"]) == shape(rendered["staging"]) == shape(rendered["prod"])


def test_environments_differ_by_values_alone(rendered: dict[str, Rendered]) -> None:
    def paths(one: Rendered) -> set[str]:
        return {f"{each.name}{path}" for each in one.aws for path, _ in leaves(each.inputs)}

    assert paths(rendered["dev"]) == paths(rendered["staging"]) == paths(rendered["prod"])


def test_logical_names_are_unique_and_carry_no_environment(rendered: dict[str, Rendered]) -> None:
    names = [each.name for each in rendered["staging"].resources]
    assert len(names) == len(set(names))
    assert not [name for name in names if re.search(r"(dev|staging|prod)(-|$)", name)]


@pytest.mark.parametrize("stack", STACKS)
def test_physical_names_carry_the_environment(rendered: dict[str, Rendered], stack: str) -> None:
    for each in rendered[stack].aws:
        if each.token in ("aws:iam/rolePolicy:RolePolicy", "aws:cloudwatch/logGroup:LogGroup"):
            continue  # a part of its role; SageMaker's own names for the groups of jobs
        for key in PHYSICAL_NAME_KEYS:
            if key in each.inputs:
                assert f"lockstep-{stack}-" in str(each.inputs[key]), each


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_has_the_one_provider_and_a_component_as_parent(rendered: dict[str, Rendered], stack: str) -> None:
    for each in rendered[stack].aws:
        assert "pulumi:providers:aws::aws::" in each.provider, each.name
        assert re.search(r"lockstep:infra:\w+::", each.parent), each.name


def test_the_provider_is_bound_to_account_region_and_tags(rendered: dict[str, Rendered]) -> None:
    provider = rendered["staging"].one("aws").inputs
    assert json.loads(provider["allowedAccountIds"]) == ["222222222222"]
    assert provider["region"] == "us-east-1"
    assert json.loads(provider["defaultTags"])["tags"] == {
        "environment": "staging",
        "project": "lockstep",
        "owner": "ml-platform",
        "cost-center": "ml-delivery",
        "managed-by": "pulumi",
    }
    assert "assumeRoles" not in provider


def test_a_role_to_assume_is_passed_on(project: Path) -> None:
    edit(project, "dev", put("assumeRoleArn", "arn:aws:iam::111111111111:role/deploy"))
    provider = render("dev", project=project).one("aws").inputs
    assert json.loads(provider["assumeRoles"]) == [{"roleArn": "arn:aws:iam::111111111111:role/deploy", "sessionName": "lockstep-dev"}]


def test_no_resource_sets_what_default_tags_set(rendered: dict[str, Rendered]) -> None:
    for each in rendered["dev"].aws:
        assert set(each.inputs.get("tags", {})) <= {"Name"}, each.name


def test_rendering_twice_gives_the_same(rendered: dict[str, Rendered]) -> None:
    def inputs(one: Rendered) -> dict[str, dict[str, Any]]:
        return {each.name: each.inputs for each in one.resources}

    assert inputs(render("dev")) == inputs(rendered["dev"])


def test_releases_are_out_of_reach_of_an_update(rendered: dict[str, Rendered]) -> None:
    one = rendered["dev"].one
    assert set(one("serving-endpoint").ignore_changes) == {"endpointConfigName", "deploymentConfig"}
    for name in ("serving-bootstrap-model", "serving-bootstrap-config", "serving-bootstrap-archive"):
        each = one(name)
        assert set(each.inputs) - {"name", "bucket", "contentType"} <= set(each.ignore_changes), name


def test_an_edit_of_the_stack_file_reaches_the_spec_and_not_the_endpoint(project: Path) -> None:
    edit(project, "dev", put("serving.instanceCount", 3))
    changed = render("dev", project=project)
    assert changed.outputs is not None
    assert changed.outputs.serving.instance_count == 3
    config: Registered = changed.one("serving-bootstrap-config")
    assert "productionVariants" in config.ignore_changes


@pytest.mark.parametrize(
    ("stack", "change", "message"),
    [
        ("dev", put("serving.instanceCont", 2), "did you mean 'instanceCount'?"),
        ("prod", put("network.cidr", "10.10.0.0/16"), "10.10.0.0/16"),
        ("prod", put("owner", "others"), "must be the same in every environment"),
    ],
)
def test_a_wrong_stack_file_fails_before_anything_is_registered(project: Path, stack: str, change: Any, message: str) -> None:
    edit(project, stack, change)
    seen = Rendered()
    with pytest.raises(ConfigError) as caught:
        render("dev" if stack == "dev" else stack, project=project, into=seen)
    assert message in str(caught.value)
    assert not seen.resources


def test_an_unknown_stack_fails_before_anything_is_registered(project: Path) -> None:
    seen = Rendered()
    with pytest.raises(UsageError, match="there is no environment 'production'"):
        render("production", project=project, into=seen)
    assert not seen.resources


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("release.json", None, "pipelines/definitions/release.json: this compiled definition is missing"),
        ("toolkit.json", None, "pipelines/definitions/toolkit.json: this compiled definition is missing"),
        ("toolkit.json", '{"digest": "latest"}', "found 'latest', expected sha256: and 64 hex digits"),
        (
            "admit.json",
            '{"Role": "${lockstep:role_job}"}',
            "no environment has a value for ${lockstep:role_job}; did you mean 'role_jobs'?",
        ),
        ("training.json", "{", "this is not JSON"),
    ],
)
def test_a_missing_or_stale_definition_fails_before_anything_is_registered(
    project: Path, file: str, text: str | None, message: str
) -> None:
    path = project / "pipelines" / "definitions" / file
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    seen = Rendered()
    with pytest.raises(ConfigError) as caught:
        render("dev", project=project, into=seen)
    assert message in str(caught.value)
    assert "lockstep pipeline compile" in str(caught.value)
    assert not seen.resources


def test_a_fourth_environment_is_the_same_graph(project: Path, rendered: dict[str, Rendered]) -> None:
    source = (PROJECT / "stacks" / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    text = source.replace("111111111111", "444444444444").replace("10.10.", "10.40.").replace("to: staging", "to: null")
    (project / "stacks" / "Pulumi.qa.yaml").write_text(text, encoding="utf-8")
    qa = render("qa", project=project)
    assert {(each.token, each.name) for each in qa.resources} == {(each.token, each.name) for each in rendered["dev"].resources}
    assert qa.outputs is not None
    assert qa.outputs.buckets.ledger.name == "lockstep-qa-ledger-444444444444"
