"""The official provider finds in the embedded cloud what it sent there: it makes an environment, changes it, and leaves nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jmespath
import pytest

from local.cloud.context import Cloud
from local.cloud.server import running
from local.provider.api import Clients, Settings
from local.provider.host import serve
from tests.infra.rendering import Rendered
from tests.official.changed import Decision, official, other, ours, reworded, settled
from tests.official.differences import DECIDED_OTHERWISE
from tests.official.edits import IDENTITY, VALUES, edited
from tests.official.reading import differences
from tests.official.terraform import Terraform
from tests.official.translation import PROVIDER_TOKEN, References, Schema, Translation
from tests.provider.door import Door

ACCOUNT, REGION = "111111111111", "us-east-1"
PATH_STYLE = {"s3_use_path_style": True}

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


@dataclass(frozen=True)
class Life:
    """What was seen while the official provider made the environment dev, edited it and destroyed it.

    `made` and `edited` are the plans right after, `read` what our plugin reads otherwise than the official one, `state` a copy of
    Terraform's after the first, `held` and `left` what the cloud held.
    """

    made: Mapping[str, Any]
    read: list[str]
    state: Path
    held: list[str]
    edited: Mapping[str, Any]
    left: list[str]
    variables: Mapping[str, str]


@pytest.fixture(scope="module")
def life(referring: dict[str, Rendered], schema: Schema, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("dev")
    with running(tmp_path_factory.mktemp("cloud"), speed=100.0) as cloud:
        variables = {**cloud.credentials(ACCOUNT).environment(), "AWS_ENDPOINT_URL": cloud.url}
        terraform = Terraform(folder, plugins, variables)
        terraform.init(Translation(schema).configuration(referring["dev"], PATH_STYLE))
        terraform.apply()
        made, held = terraform.plan(), holdings(cloud)
        read = reading(schema, referring["dev"], terraform, variables)
        state = Path(shutil.copy(folder / "terraform.tfstate", folder / "made.tfstate"))
        changed = edited(tmp_path_factory.mktemp("edited"), "dev", VALUES, References(schema))
        terraform.write(Translation(schema).configuration(changed, PATH_STYLE))
        terraform.apply()
        again = terraform.plan()
        terraform.destroy()
        yield Life(made, read, state, held, again, holdings(cloud), variables)


def reading(schema: Schema, rendered: Rendered, terraform: Terraform, variables: Mapping[str, str]) -> list[str]:
    state = attributes(terraform.folder / "terraform.tfstate")
    server, port = serve({**variables, "AWS_REGION": REGION}, terraform.folder, Clients())
    door = Door(port)
    try:
        door.configure(region=REGION, defaultTags=json.dumps({"tags": tags(rendered)}))
        return differences(schema, door, settled(rendered, lambda _, name, attribute: str(state[name][attribute])), state)
    finally:
        door.channel.close()
        server.stop(grace=0).wait()


def attributes(state: Path) -> dict[str, dict[str, Any]]:
    """Logical name -> what Terraform keeps of the resource."""
    return {each["name"]: each["instances"][0]["attributes"] for each in json.loads(state.read_text(encoding="utf-8"))["resources"]}


def holdings(cloud: Cloud) -> list[str]:
    session = cloud.session(ACCOUNT, REGION)
    answers = [(service, jmespath.search(path, getattr(session.client(service), operation)())) for service, operation, path in LISTED]
    return [f"{service}: {name}" for service, names in answers for name in names]


def changes(plan: Mapping[str, Any]) -> str:
    return "\n".join(f"{each['address']}: {each['change']}" for each in plan["resource_changes"] if each["change"]["actions"] != ["no-op"])


def test_what_was_made_is_what_was_sent(life: Life) -> None:
    assert not changes(life.made), changes(life.made)


def test_what_was_edited_is_what_was_sent(life: Life) -> None:
    assert not changes(life.edited), changes(life.edited)


def test_nothing_is_left(life: Life) -> None:
    assert {each.split(":")[0] for each in life.held} == {service for service, _, _ in LISTED}
    assert life.left == []


def test_our_plugin_reads_what_the_official_one_reads(life: Life) -> None:
    assert not life.read, "\n".join(life.read)


def test_each_change_means_to_our_plugin_what_it_means_to_the_official_one(
    life: Life, referring: dict[str, Rendered], schema: Schema, plugins: Path, tmp_path: Path
) -> None:
    state = attributes(life.state)

    def value_of(type_: str, name: str, attribute: str) -> str:
        return str(state[name][attribute])

    before = settled(referring["dev"], value_of)
    after = settled(edited(tmp_path, "staging", {**VALUES, **IDENTITY}, References(schema)), lambda *place: other(value_of(*place)))
    after = Rendered([reworded(each) if each.token.startswith("aws:") else each for each in after.resources])
    terraform = Terraform(tmp_path, plugins, life.variables)
    terraform.init(Translation(schema).configuration(after, {**PATH_STYLE, "allowed_account_ids": [ACCOUNT]}))
    shutil.copy(life.state, tmp_path / "terraform.tfstate")
    theirs = official(terraform.plan("-refresh=false"))
    old, new = (Settings(region=REGION, default_tags=tags(each)) for each in (before, after))
    mine = {each.name: ours(schema, each, after.one(each.name), old, new) for each in before.aws}
    wrong = [
        f"{each.name}, {each.token}: official {theirs[each.name]}, ours {mine[each.name]}"
        for each in before.aws
        if forgiven(schema.type_of(each.token), mine[each.name]) != forgiven(schema.type_of(each.token), theirs[each.name])
    ]
    assert not wrong, "\n".join(wrong)


def forgiven(type_: str, decision: Decision) -> Decision:
    return replace(decision, forced_by=frozenset(name for name in decision.forced_by if (type_, name) not in DECIDED_OTHERWISE))


def tags(rendered: Rendered) -> dict[str, str]:
    """The tags that the provider puts on everything."""
    given: dict[str, str] = json.loads(rendered.of(PROVIDER_TOKEN)[0].inputs["defaultTags"])["tags"]
    return given
