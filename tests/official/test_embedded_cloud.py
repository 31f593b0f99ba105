"""The official provider finds in the embedded cloud what it sent there: it makes an environment, sees no difference, and leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jmespath
import pytest

from local.cloud.context import Cloud
from local.cloud.server import running
from tests.infra.rendering import Rendered
from tests.official.terraform import Terraform
from tests.official.translation import Schema, Translation

ACCOUNT, REGION = "111111111111", "us-east-1"

# What an environment may leave behind: service, operation, and where the answer lists them. Keys wait for their deletion.
LISTED = (
    ("s3", "list_buckets", "Buckets[].Name"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints[].VpcEndpointId"),
    ("ec2", "describe_flow_logs", "FlowLogs[].FlowLogId"),
    ("ec2", "describe_vpcs", "Vpcs[?!IsDefault].VpcId"),
    ("ecr", "describe_repositories", "repositories[].repositoryName"),
    ("iam", "list_roles", "Roles[].RoleName"),
    ("kms", "list_aliases", "Aliases[?!starts_with(AliasName, 'alias/aws/')].AliasName"),
    ("logs", "describe_log_groups", "logGroups[].logGroupName"),
    ("dynamodb", "list_tables", "TableNames"),
    ("sns", "list_topics", "Topics[].TopicArn"),
    ("events", "list_rules", "Rules[].Name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    ("sagemaker", "list_endpoints", "Endpoints[].EndpointName"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs[].EndpointConfigName"),
    ("sagemaker", "list_models", "Models[].ModelName"),
    ("sagemaker", "list_pipelines", "PipelineSummaries[].PipelineName"),
    ("sagemaker", "list_feature_groups", "FeatureGroupSummaries[].FeatureGroupName"),
    ("sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList[].ModelPackageGroupName"),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("cloud"), speed=100.0) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def deployed(
    cloud: Cloud, referring: dict[str, Rendered], schema: Schema, plugins: Path, tmp_path_factory: pytest.TempPathFactory
) -> Terraform:
    """The environment dev, made by the official provider on an embedded cloud."""
    variables = {**cloud.credentials(ACCOUNT).environment(), "AWS_ENDPOINT_URL": cloud.url}
    terraform = Terraform(tmp_path_factory.mktemp("dev"), plugins, variables)
    terraform.init(Translation(schema).configuration(referring["dev"], {"s3_use_path_style": True}))
    terraform.apply()
    return terraform


def held(cloud: Cloud) -> list[str]:
    session = cloud.session(ACCOUNT, REGION)
    answers = [(service, jmespath.search(path, getattr(session.client(service), operation)())) for service, operation, path in LISTED]
    return [f"{service}: {name}" for service, names in answers for name in names]


def differences(plan: Mapping[str, Any]) -> list[str]:
    return [f"{each['address']}: {each['change']}" for each in plan["resource_changes"] if each["change"]["actions"] != ["no-op"]]


def test_what_was_made_is_what_was_sent(deployed: Terraform) -> None:
    different = differences(deployed.plan())
    assert not different, "\n".join(different)


def test_nothing_is_left_of_it(cloud: Cloud, deployed: Terraform) -> None:
    assert len({each.split(":")[0] for each in held(cloud)}) == len({service for service, _, _ in LISTED})
    deployed.destroy()
    assert held(cloud) == []
