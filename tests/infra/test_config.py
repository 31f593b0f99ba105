"""Wrong stack files: each fault is named with file, key path, what was found and what was expected."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from infra.components.network import INTERFACE_SERVICES
from infra.config import CONFIG_KEY, EnvironmentConfig, Stack, check, check_same, load_all, load_stack, stack_names
from infra.config.fields import FEATURE_NAME
from infra.config.marks import Same, Varies
from infra.config.regions import partitions
from infra.errors import ConfigError, UsageError
from infra.naming import partition_of
from tests.infra.rendering import STACKS

Edit = Callable[[dict[str, Any]], object]
WHERE = "stacks/Pulumi.dev.yaml, lockstep:environment"


def edit(project: Path, stack: str, change: Edit) -> None:
    """Changes the object in a stack file."""
    file = project / "stacks" / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(document["config"][CONFIG_KEY])
    file.write_text(yaml.safe_dump(document), encoding="utf-8")


def refused(project: Path, stack: str = "dev") -> ConfigError:
    """The error that a check of the stack ends with."""
    folder = project / "stacks"
    with pytest.raises(ConfigError) as caught:
        check(load_stack(folder, stack), load_all(folder))
    return caught.value


def put(path: str, value: Any) -> Edit:
    """Sets the value at a dotted path; numbers are indices."""
    *way, last = path.split(".")

    def change(config: dict[str, Any]) -> None:
        here: Any = config
        for part in way:
            here = here[int(part)] if part.isdigit() else here[part]
        here[last] = value

    return change


def test_shipped_stack_files_are_right(stacks: dict[str, Stack]) -> None:
    assert stack_names(Path(next(iter(stacks.values())).file.parent)) == tuple(sorted(STACKS))
    for stack in stacks.values():
        check(stack, stacks)


def test_shipped_stack_files_have_the_same_keys(stacks: dict[str, Stack]) -> None:
    def keys(value: Any, path: str = "") -> set[str]:
        if isinstance(value, dict):
            return {path, *(key for name, each in value.items() for key in keys(each, f"{path}.{name}"))}
        return {path}

    found = {name: keys(yaml.safe_load(stack.file.read_text(encoding="utf-8"))) for name, stack in stacks.items()}
    assert found["dev"] == found["staging"] == found["prod"]


def test_approval_is_a_person_s_before_prod_and_in_dev(stacks: dict[str, Stack]) -> None:
    assert {name: stack.config.promotion.approval for name, stack in stacks.items()} == {
        "dev": "manual",
        "staging": "automatic",
        "prod": "manual",
    }
    assert stacks["prod"].config.promotion.requires_released_evidence


def test_every_value_is_marked_once() -> None:
    unmarked: list[str] = []

    def walk(model: type[Any], path: str) -> None:
        for name, field in model.model_fields.items():
            marks = [each for each in field.metadata if isinstance(each, Same | Varies)]
            group = isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields")
            if group and not marks:
                walk(field.annotation, f"{path}.{name}")
            elif len(marks) != 1:
                unmarked.append(f"{path}.{name}: {marks}")

    walk(EnvironmentConfig, "")
    assert not unmarked


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        (put("serving.instanceCont", 2), ".serving.instanceCont", "unknown key; did you mean 'instanceCount'?"),
        (put("colour", "green"), ".colour", "unknown key; known keys here: owner, costCenter"),
        (put("network.subnets.0.zon", "us-east-1a"), ".network.subnets.0.zon", "unknown key; did you mean 'zone'?"),
        (lambda config: config.pop("accountId"), ".accountId", "missing: expected an AWS account id: twelve digits, in quotes"),
        (lambda config: config["serving"].pop("instanceCount"), ".serving.instanceCount", "missing: expected a value"),
        (put("accountId", 111111111111), ".accountId", "found 111111111111, expected a text (in quotes, where it looks like a number)"),
        (put("accountId", "123"), ".accountId", 'found "123", expected an AWS account id: twelve digits'),
        (put("disposable", "yes"), ".disposable", 'found "yes", expected true or false'),
        (put("rollout.waitIntervalSeconds", "120"), ".rollout.waitIntervalSeconds", 'found "120", expected a whole number'),
        (put("rollout.waitIntervalSeconds", 120.5), ".rollout.waitIntervalSeconds", "found 120.5, expected a whole number"),
        (put("rollout.waitIntervalSeconds", 3601), ".rollout.waitIntervalSeconds", "found 3601, expected less than or equal to 3600"),
        (put("rollout.strategy", "canari"), ".rollout.strategy", "one of 'ALL_AT_ONCE', 'CANARY' or 'LINEAR'; did you mean 'CANARY'?"),
        (put("rollout.maximumExecutionTimeoutSeconds", 599), ".rollout.maximumExecutionTimeoutSeconds", "greater than or equal to 600"),
        (put("rollout.maximumExecutionTimeoutSeconds", 28801), ".rollout.maximumExecutionTimeoutSeconds", "less than or equal to 28800"),
        (put("serving.instanceCount", 1), ".serving.instanceCount", "found 1, expected greater than or equal to 2"),
        (put("serving.instanceType", "m5.large"), ".serving.instanceType", "expected a SageMaker instance type, such as ml.m5.large"),
        (put("serving.bootstrapImage", "python:3.11"), ".serving.bootstrapImage", "expected an image in ECR by digest"),
        (put("network.cidr", "10.10.0.1/16"), ".network.cidr", "expected an IPv4 range such as 10.10.0.0/16"),
        (put("network.subnets", []), ".network.subnets", "found 0 entries, expected at least 2"),
        (put("network", 5), ".network", "expected"),
        (put("retention.logs", 8), ".retention.logs", "expected one of the periods that CloudWatch Logs offers: 1, 3, 5"),
        (put("features.definitions.pirat", "Number"), ".features.definitions.pirat", "one of 'String', 'Integral' or 'Fractional'"),
        (put("features.definitions._pirat", "Integral"), ".features.definitions._pirat", "a feature's name: up to 64 letters, digits"),
        (put("features.definitions.pi rat", "Integral"), ".features.definitions.pi rat", "a feature's name"),
        (put("features.definitions." + "p" * 65, "Integral"), ".features.definitions." + "p" * 65, "up to 64 letters"),
        (put("alarms.endpoint.errorRate", 1), ".alarms.endpoint.errorRate", "less than 1"),
        (put("alarms.release.periodSeconds", 90), ".alarms.release.periodSeconds", "a multiple of 60"),
        (put("contacts.operations", "nobody"), ".contacts.operations", "expected an e-mail address"),
        (put("alarms.endpoint.latencyP99Milliseconds", float("inf")), ".alarms.endpoint.latencyP99Milliseconds", "equal to 60000"),
        (put("alarms.release.errorRate", float("nan")), ".alarms.release.errorRate", "found NaN"),
        (put("gates.thresholds", {"auc": float("nan")}), ".gates.thresholds.auc", "found NaN, expected a finite number"),
        (put("serving.dataCapture.csvContentTypes", ["csv"]), ".serving.dataCapture.csvContentTypes.0", 'found "csv"'),
        (put("workload", "Mortgage!"), ".workload", "lower-case words joined by hyphens"),
    ],
)
def test_a_wrong_value_is_named(project: Path, change: Edit, where: str, message: str) -> None:
    edit(project, "dev", change)
    error = refused(project)
    assert error.where == WHERE + where
    assert message.lower() in error.message.lower()
    assert error.remedy
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        (put("network.cidr", "127.0.0.0/16"), None, "network.cidr: found 127.0.0.0/16, expected a private range"),
        (put("network.cidr", "172.17.0.0/16"), None, "expected a range outside 172.17.0.0/16, which SageMaker's machines use"),
        (put("assumeRoleArn", "arn:aws:iam::222222222222:role/deploy"), ".assumeRoleArn", "found a role of account 222222222222"),
        (put("region", "us-eest-1"), None, "region: found us-eest-1, expected a region that AWS has; did you mean 'us-"),
        (put("region", "cn-north-1"), None, "found cn-north-1 of partition aws-cn, expected one of aws or aws-us-gov"),
        (put("region", "us-iso-east-1"), None, "found us-iso-east-1 of partition aws-iso, expected one of aws or aws-us-gov"),
        (put("assumeRoleArn", "arn:aws-us-gov:iam::111111111111:role/deploy"), ".assumeRoleArn", "expected one of us-east-1's, aws"),
        (put("alarms.endpoint.evaluationPeriods", 60), None, None),
        (
            lambda config: config["alarms"]["endpoint"].update(evaluationPeriods=60, periodSeconds=1800),
            ".alarms.endpoint.evaluationPeriods",
            "60 periods of 1800 s are 108000 s, expected at most 86400",
        ),
        (put("network.subnets.1.cidr", "10.99.0.0/20"), ".network.subnets.1.cidr", "expected a range inside network.cidr 10.10.0.0/16"),
        (put("network.subnets.1.cidr", "10.10.8.0/21"), ".network.subnets.1.cidr", "10.10.8.0/21 overlaps 10.10.0.0/20"),
        (put("network.subnets.1.cidr", "10.10.16.0/27"), ".network.subnets.1.cidr", "between /16 and /26: eight interface endpoints"),
        (put("network.subnets.1.cidr", "10.10.16.0/26"), None, None),
        (put("network.subnets.1.zone", "us-east-1a"), ".network.subnets.1.zone", "found us-east-1a, the zone of another subnet"),
        (put("network.subnets.1.zone", "eu-west-1a"), ".network.subnets.1.zone", "expected a zone of region us-east-1"),
        (put("serving.autoscaling.maximum", 2), None, None),
        (put("serving.instanceCount", 9), ".serving.instanceCount", "found 9, expected a number within serving.autoscaling, 2 to 3"),
        (put("rollout.step.value", 51), ".rollout.step.value", "found 51 %, expected at most 50 % of the instances"),
        (
            put("rollout.step", {"type": "INSTANCE_COUNT", "value": 2}),
            ".rollout.step.value",
            "found 2 of 2 instances, expected",
        ),
        (put("rollout.step", None), ".rollout.step", "found null, expected a type and a value: CANARY moves traffic in steps"),
        (put("rollout.strategy", "ALL_AT_ONCE"), None, "found a step, expected null"),
        (put("rollout.minimumGreenInvocations", 61), ".rollout.minimumGreenInvocations", "bring the new fleet about 60 requests"),
        (put("rollout.waitIntervalSeconds", 60), ".alarms.release", "need 120 s to raise the alarm, but the first bake lasts 60 s"),
        (put("alarms.release.datapointsToAlarm", 2), None, "expected at most evaluationPeriods, 1: it could never fire"),
        (put("promotion.ledgerMode", "COMPLIANCE"), ".promotion.ledgerMode", "found COMPLIANCE where disposable is true"),
        (lambda config: (put("promotion.ledgerMode", "COMPLIANCE")(config), put("disposable", False)(config)), None, None),
        (put("serving.instanceType", "ml.t2.medium"), ".serving.instanceType", "found ml.t2.medium, expected a type that is not burstable"),
        (put("serving.instanceType", "ml.trn1.2xlarge"), None, None),
        (put("features.eventTime", "when"), ".features.eventTime", "found 'when', expected one of features.definitions"),
        (put("features.definitions.is_deleted", "Integral"), ".features.definitions.is_deleted", "reserved by the feature store"),
        (put("chain.to", "stagin"), ".chain.to", "expected an environment that has a stack file: dev, prod, staging"),
        (put("chain.to", "prod"), ".chain.to", "but chain.from of stacks/Pulumi.prod.yaml is 'staging', expected 'dev'"),
        (put("chain.to", "dev"), ".chain.to", "expected another environment"),
        (put("accountId", "222222222222"), ".accountId", "is also the account of stacks/Pulumi.staging.yaml"),
    ],
)
def test_values_that_do_not_go_together_are_named(project: Path, change: Edit, where: str | None, message: str | None) -> None:
    edit(project, "dev", change)
    if message is None:
        check(load_stack(project / "stacks", "dev"), load_all(project / "stacks"))
        return
    error = refused(project)
    assert message in error.message
    if where is not None:
        assert error.where == WHERE + where


def test_the_room_that_a_subnet_must_have_counts_every_interface_endpoint() -> None:
    assert len(INTERFACE_SERVICES) == 8, "the sentence about narrow subnets in infra/config says eight"


def test_a_feature_s_name_is_held_against_the_pattern_of_create_feature_group() -> None:
    """Source: botocore's model of SageMaker."""
    described = botocore.session.get_session().get_service_model("sagemaker").shape_for("FeatureName").metadata
    assert (described["pattern"], described["max"]) == (FEATURE_NAME, 64)


def test_linear_steps_and_their_waits(project: Path) -> None:
    def linear(value: int, timeout: int = 7200) -> Edit:
        def change(config: dict[str, Any]) -> None:
            config["rollout"].update(
                strategy="LINEAR",
                step={"type": "CAPACITY_PERCENT", "value": value},
                maximumExecutionTimeoutSeconds=timeout,
                minimumGreenInvocations=1,
            )

        return change

    edit(project, "dev", linear(9))
    assert "10 to 50 %" in refused(project).message
    edit(project, "dev", linear(10, timeout=1140))  # nine bakes of 120 s and a last one of 60 s are 1140 s
    assert "expected more than the waits add up to, 1140 seconds" in refused(project).message
    edit(project, "dev", linear(10, timeout=1141))
    check(load_stack(project / "stacks", "dev"), load_all(project / "stacks"))


def test_overlapping_ranges_name_both_files(project: Path) -> None:
    def move(config: dict[str, Any]) -> None:
        config["network"].update(
            cidr="10.20.0.0/16",
            subnets=[{"zone": "us-east-1a", "cidr": "10.20.0.0/20"}, {"zone": "us-east-1b", "cidr": "10.20.16.0/20"}],
        )

    edit(project, "dev", move)
    error = refused(project)
    assert error.where == f"{WHERE}.network.cidr"
    assert "10.20.0.0/16 overlaps 10.20.0.0/16 of stacks/Pulumi.staging.yaml" in error.message


def test_all_faults_come_at_once(project: Path) -> None:
    edit(project, "dev", put("serving.instanceCount", "two"))
    edit(project, "dev", put("colour", "green"))
    error = refused(project)
    assert "2 values are wrong" in error.message
    assert "serving.instanceCount: found" in error.message
    assert "colour: unknown key" in error.message


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (put("owner", "others"), "owner"),
        (put("promotion.allowHostBase", False), "promotion.allowHostBase"),
        (put("features.definitions.extra", "Integral"), "features.definitions"),
        (
            lambda config: config["network"]["subnets"].append({"zone": "us-east-1c", "cidr": "10.10.32.0/20"}),
            "network.subnets (number of entries)",
        ),
    ],
)
def test_what_must_be_the_same_everywhere(project: Path, change: Edit, path: str) -> None:
    edit(project, "dev", change)
    error = refused(project)
    assert error.where == f"stacks/Pulumi.prod.yaml, lockstep:environment.{path}"
    assert "stacks/Pulumi.dev.yaml has" in error.message
    assert "must be the same in every environment" in error.message
    with pytest.raises(ConfigError, match="must be the same"):
        check_same(load_all(project / "stacks"))


def test_a_fault_in_another_file_is_found_too(project: Path) -> None:
    edit(project, "prod", put("serving.instanceCont", 2))
    with pytest.raises(ConfigError) as caught:
        load_all(project / "stacks")
    assert caught.value.where == "stacks/Pulumi.prod.yaml, lockstep:environment.serving.instanceCont"


def test_an_unknown_environment_suggests_a_near_one(project: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_stack(project / "stacks", "stagging")
    assert "there is no environment 'stagging'" in str(caught.value)
    assert "Did you mean 'staging'? Known environments: dev, prod, staging." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: [unclosed", "this is not YAML"),
        ("", "the key `config` is missing"),
        ("config:\n  aws:region: us-east-1\n", "unknown key 'aws:region'"),
        ("config:\n  pulumi:tags: {}\n", "the key lockstep:environment is missing"),
        ("- a\n- list\n", "the key `config` is missing"),
        ("config:\n  lockstep:environment: [a, list]\n", "expected a map of keys to values"),
        ("config:\n  lockstep:environment: &all\n    chain: *all\n", "a value holds itself"),
        ("confg: {}\nconfig: {}\n", "unknown key 'confg'"),
        ("config:\n  lockstep:environment: {owner: one, owner: two}\n", "the key 'owner' stands twice"),
        ("config: !!python/name:os.system", "this is not YAML"),
        (b"config:\n  owner: caf\xe9\n", "byte 20 is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_environment(project: Path, text: str | bytes, message: str) -> None:
    content = text.encode() if isinstance(text, str) else text
    (project / "stacks" / "Pulumi.dev.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"stacks/Pulumi\.dev\.yaml") as caught:
        load_stack(project / "stacks", "dev")
    assert message in caught.value.message


@pytest.mark.parametrize("change", [lambda text: text.replace(b"\n", b"\r\n"), lambda text: b"\xef\xbb\xbf" + text], ids=["CRLF", "BOM"])
def test_files_of_other_editors_are_read(project: Path, change: Callable[[bytes], bytes]) -> None:
    file = project / "stacks" / "Pulumi.dev.yaml"
    expected = load_stack(project / "stacks", "dev").config
    file.write_bytes(change(file.read_bytes()))
    assert load_stack(project / "stacks", "dev").config == expected


@pytest.mark.parametrize("name", ["QA_East", "qa-east", "q" * 17, "9lives", "qa.east"])
def test_the_name_of_a_stack_is_one_that_a_chain_can_say(project: Path, name: str) -> None:
    folder = project / "stacks"
    shutil.copy(folder / "Pulumi.dev.yaml", folder / f"Pulumi.{name}.yaml")
    for read in (lambda: load_stack(folder, name), lambda: load_all(folder)):
        with pytest.raises(ConfigError, match="up to 16 lower-case letters and digits") as caught:
            read()
        assert caught.value.where == f"stacks/Pulumi.{name}.yaml"


def test_a_chain_that_ends_where_it_starts_is_refused(project: Path) -> None:
    edit(project, "dev", put("chain.from", "prod"))
    edit(project, "prod", put("chain.to", "dev"))
    for stack, way in (("dev", "dev -> staging -> prod -> dev"), ("prod", "prod -> dev -> staging -> prod")):
        error = refused(project, stack)
        assert error.where == f"stacks/Pulumi.{stack}.yaml, lockstep:environment.chain.to"
        assert f"{way} is a circle" in error.message


def test_a_folder_is_no_stack_file(project: Path) -> None:
    (project / "stacks" / "Pulumi.qa.yaml").mkdir()
    assert stack_names(project / "stacks") == ("dev", "prod", "staging")
    with pytest.raises(UsageError, match="there is no environment 'qa'"):
        load_stack(project / "stacks", "qa")


def test_partitions_of_arns_are_those_of_the_regions_that_are_let_in() -> None:
    let_in = {region: partition for region, partition in partitions().items() if partition in ("aws", "aws-us-gov")}
    assert {region: partition_of(region) for region in let_in} == let_in


def test_neighbours_are_in_one_region(project: Path) -> None:
    """A private network reaches the services of its own region alone."""
    file = project / "stacks" / "Pulumi.staging.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("us-east-1", "eu-west-1"), encoding="utf-8")
    error = refused(project)
    assert error.where == f"{WHERE}.chain.to"
    assert "staging is in eu-west-1, expected us-east-1" in error.message


def test_a_fourth_environment_needs_a_stack_file_alone(project: Path) -> None:
    source = (project / "stacks" / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    text = source.replace("111111111111", "444444444444").replace("10.10.", "10.40.").replace("to: staging", "to: null")
    (project / "stacks" / "Pulumi.qa.yaml").write_text(text, encoding="utf-8")
    everyone = load_all(project / "stacks")
    for stack in everyone.values():
        check(stack, everyone)
