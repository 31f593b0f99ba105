"""Security controls that every environment satisfies, by their Security Hub ids."""

from __future__ import annotations

import json

import pytest

from infra.serving_spec import has_local_storage
from tests.infra.rendering import STACKS, Rendered

PURPOSES = ("data", "artefacts", "capture", "ledger", "logs")


@pytest.fixture(params=STACKS)
def one(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    """Each environment in turn."""
    return rendered[str(request.param)]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_buckets(one: Rendered, purpose: str) -> None:
    """S3.1 .5 .8 .9 .12 .13 .14 .15 .17"""
    name = f"buckets-{purpose}"
    private = one.one(f"{name}-private").inputs
    assert all(private[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"))
    assert one.one(f"{name}-ownership").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    assert one.one(f"{name}-versions").inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert "DenyWithoutTls" in one.one(f"{name}-policy").inputs["policy"]
    rules = one.one(f"{name}-lifecycle").inputs["rules"]
    assert all(rule["status"] == "Enabled" for rule in rules)
    assert any("noncurrentVersionExpiration" in rule for rule in rules)
    encryption = one.one(f"{name}-encryption").inputs["rules"][0]["applyServerSideEncryptionByDefault"]
    if purpose == "logs":  # S3 delivers access logs under its own key alone
        assert encryption == {"sseAlgorithm": "AES256"}
    else:
        assert encryption["sseAlgorithm"] == "aws:kms"
        assert ":keys-" in encryption["kmsMasterKeyId"]
        assert one.one(f"{name}-logging").inputs["targetPrefix"] == f"access/{purpose}/"


def test_the_ledger_is_locked(one: Rendered) -> None:
    """S3.15"""
    assert one.one("buckets-ledger").inputs["objectLockEnabled"] is True
    assert one.one("buckets-ledger-lock").inputs["rule"]["defaultRetention"] == {"mode": "GOVERNANCE", "days": 1}


def test_keys(one: Rendered) -> None:
    """KMS.4 .5"""
    for key in one.of("aws:kms/key:Key"):
        assert key.inputs["enableKeyRotation"] is True
        for statement in json.loads(key.inputs["policy"])["Statement"]:
            assert statement["Principal"] != "*"
            assert statement["Principal"] != {"AWS": "*"}


def test_repositories(one: Rendered) -> None:
    """ECR.1 .2 .3"""
    for repository in one.of("aws:ecr/repository:Repository"):
        assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
        assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository.inputs["encryptionConfigurations"][0]["encryptionType"] == "KMS"
        assert one.one(f"{repository.name}-lifecycle")


def test_network(one: Rendered) -> None:
    """EC2.2 .6 .10 .15"""
    closed = one.one("network-default-group").inputs
    assert "ingress" not in closed
    assert "egress" not in closed
    assert one.one("network-flow-log").inputs["trafficType"] == "ALL"
    assert all(not subnet.inputs["mapPublicIpOnLaunch"] for subnet in one.of("aws:ec2/subnet:Subnet"))
    assert len({subnet.inputs["availabilityZone"] for subnet in one.of("aws:ec2/subnet:Subnet")}) >= 2
    services = {each.inputs["serviceName"].removeprefix("com.amazonaws.us-east-1.") for each in one.of("aws:ec2/vpcEndpoint:VpcEndpoint")}
    expected = {"s3", "dynamodb", "sagemaker.api", "sagemaker.runtime", "ecr.api", "ecr.dkr", "sts", "kms", "logs", "monitoring"}
    assert services == expected
    assert not [each for each in one.aws if "Gateway" in each.token]
    for rule in [
        *one.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"),
        *one.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"),
    ]:
        assert "cidrIpv4" not in rule.inputs
        assert "cidrIpv6" not in rule.inputs


def test_the_endpoint(one: Rendered) -> None:
    """SageMaker.4 .5; CKV_AWS_98"""
    model = one.one("serving-bootstrap-model").inputs
    assert model["enableNetworkIsolation"] is True
    assert len(model["vpcConfig"]["subnets"]) >= 2
    config = one.one("serving-bootstrap-config").inputs
    assert config["productionVariants"][0]["initialInstanceCount"] >= 2
    assert config["kmsKeyArn"].endswith("keys-data")
    assert config["dataCaptureConfig"]["kmsKeyId"].endswith("keys-data")
    capacity = one.one("serving-capacity").inputs
    assert capacity["minCapacity"] >= 2


def test_the_feature_store(one: Rendered) -> None:
    """SageMaker.17 .18"""
    group = one.one("features-group").inputs
    assert group["onlineStoreConfig"]["securityConfig"]["kmsKeyId"].endswith("keys-data")
    assert group["offlineStoreConfig"]["s3StorageConfig"]["kmsKeyId"].endswith("keys-data")
    assert group["offlineStoreConfig"]["disableGlueTableCreation"] is True


def test_journal_topic_and_logs_are_under_a_customer_key(one: Rendered) -> None:
    table = one.one("journal-promotions").inputs
    assert table["pointInTimeRecovery"] == {"enabled": True}
    assert table["serverSideEncryption"]["kmsKeyArn"].endswith("keys-operations")
    assert one.one("notifications-topic").inputs["kmsMasterKeyId"].endswith("keys-operations")
    for group in one.of("aws:cloudwatch/logGroup:LogGroup"):
        assert group.inputs["kmsKeyId"].endswith("keys-operations")
        assert group.inputs["retentionInDays"] > 0


def test_alarms_can_fire_and_reach_somebody(one: Rendered) -> None:
    errors, latency = one.one("alarms-errors").inputs, one.one("alarms-latency").inputs
    assert errors["statistic"] == "Average"  # of ones and zeros: a share, which never exceeds 1
    assert 0 < errors["threshold"] < 1
    assert latency["extendedStatistic"] == "p99"
    assert latency["threshold"] >= 100_000  # microseconds
    for alarm in (errors, latency):
        assert alarm["alarmActions"]
        assert alarm["datapointsToAlarm"] <= alarm["evaluationPeriods"]


@pytest.mark.parametrize(
    ("instance", "local"),
    [
        ("ml.m5.large", False),
        ("ml.m5d.large", True),
        ("ml.g4dn.xlarge", True),
        ("ml.g5.2xlarge", True),
        ("ml.p4d.24xlarge", True),
        ("ml.c6id.large", True),
        ("ml.c5.xlarge", False),
        ("ml.inf2.xlarge", False),
        ("ml.p3.2xlarge", False),
        ("ml.r5.large", False),
    ],
)
def test_machines_that_take_no_volume_key(instance: str, local: bool) -> None:
    assert has_local_storage(instance) is local
