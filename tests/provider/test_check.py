"""What a preview refuses, with the path of the property; and what it lets through because it is not known yet."""

from __future__ import annotations

from typing import Any

import pytest

from local.provider.wire import UNKNOWN
from tests.provider.door import CheckFailed, Door, InitFailed

VARIANT = {"variantName": "main", "modelName": "m", "instanceType": "ml.m5.large", "initialInstanceCount": 1}
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        ("aws:ec2/vpc:Vpc", {"cidrBlok": "10.0.0.0/16"}, "cidrBlok", "did you mean cidrBlock"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": ["10.0.0.0/16"]}, "cidrBlock", "expected a string"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": "perhaps"}, "enableDnsSupport", "expected a boolean"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "ipv6IpamPoolId": "x"}, "ipv6IpamPoolId", "not supported by the local aws plugin"),
        ("aws:ec2/subnet:Subnet", {"cidrBlock": "10.0.0.0/24"}, "vpcId", "required and missing"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.1/16"}, "cidrBlock", "not a valid CIDR block"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/8"}, "cidrBlock", "between 16 and 28, found 8"),
        ("aws:s3/bucket:Bucket", {"bucket": "No Such Name"}, "bucket", "3 to 63 lower case"),
        ("aws:iam/role:Role", {"assumeRolePolicy": "{"}, "assumeRolePolicy", "invalid JSON document"),
        ("aws:kms/key:Key", {"keyUsage": "EVERYTHING"}, "keyUsage", "expected one of"),
        ("aws:kms/key:Key", {"description": "x" * 9000}, "description", "at most 8192"),
        ("aws:kms/alias:Alias", {"name": "alias/a b", "targetKeyId": "k"}, "name", "does not match the pattern"),
        ("aws:iam/role:Role", {"assumeRolePolicy": "{}", "maxSessionDuration": 60}, "maxSessionDuration", "at least 3600"),
        ("aws:iam/role:Role", {"name": "x" * 65, "assumeRolePolicy": "{}"}, "name", "at most 64"),
        (CONFIGURATION, {"productionVariants": [{**VARIANT, "instanceTyp": "x"}]}, "productionVariants[0].instanceTyp", "not a known"),
        (CONFIGURATION, {"productionVariants": [{**VARIANT, "instanceType": "large"}]}, "productionVariants[0].instanceType", "one of"),
        (CONFIGURATION, {"productionVariants": [{**VARIANT, "variantName": "a b"}]}, "productionVariants[0].variantName", "the pattern"),
        ("aws:s3/bucketVersioning:BucketVersioning", {"bucket": "b", "versioningConfiguration": {}}, "versioningConfiguration.status",
         "required and missing"),
        ("aws:s3/bucketVersioning:BucketVersioning", {"bucket": "b", "versioningConfiguration": {"status": "On"}},
         "versioningConfiguration.status", "expected one of Enabled, Suspended"),
    ],
)  # fmt: skip
def test_refused_with_its_path(door: Door, token: str, inputs: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        door.check(door.held(token), inputs)
    assert path in [p for p, _ in caught.value.failures]
    assert reason in dict(caught.value.failures)[path]


def test_an_unknown_type_is_named(door: Door) -> None:
    with pytest.raises(CheckFailed, match="does not have the resource type aws:eks/cluster:Cluster"):
        door.check(door.held("aws:eks/cluster:Cluster"), {})


def test_values_that_are_not_known_yet_pass(door: Door) -> None:
    inputs = {
        "productionVariants": [{**VARIANT, "modelName": UNKNOWN, "instanceType": UNKNOWN}],
        "dataCaptureConfig": UNKNOWN,
        "tags": UNKNOWN,
    }
    checked = door.check(door.held(CONFIGURATION), inputs)
    assert checked["productionVariants"][0]["modelName"] is UNKNOWN
    assert checked["tagsAll"] is UNKNOWN
    planned = door.planned(door.held("aws:ec2/subnet:Subnet"), {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/24"})
    assert planned["arn"] is UNKNOWN
    assert planned["availabilityZone"] is UNKNOWN
    assert planned["cidrBlock"] == "10.0.0.0/24"
    assert planned["tagsAll"] == {"environment": "dev", "owner": "team"}


def test_a_generated_name_is_kept(door: Door) -> None:
    held = door.held("aws:sns/topic:Topic", "alarms")
    first = door.check(held, {})
    assert first["name"].startswith("alarms-")
    assert first["__defaults"] == ["name"]
    held.inputs = first
    assert door.check(held, {})["name"] == first["name"]
    assert door.check(held, {"name": "own"})["name"] == "own"


def test_a_creation_that_stops_half_way_is_not_lost_and_is_completed(door: Door, session: Any) -> None:
    ec2 = session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    rule = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "securityGroups": ["sg-00000000000000000"]}
    inputs = {"name": "half", "description": "half", "vpcId": vpc, "ingress": [rule]}
    held = door.held("aws:ec2/securityGroup:SecurityGroup")
    with pytest.raises(InitFailed, match="AuthorizeSecurityGroupIngress") as caught:
        door.up(held, inputs)
    assert ec2.describe_security_groups(GroupIds=[caught.value.identity])["SecurityGroups"][0]["GroupName"] == "half"
    held.identity, held.state, held.inputs = caught.value.identity, caught.value.state, door.check(held, inputs)
    seen = door.refresh(held)
    assert seen is not None
    wanted = {**inputs, "ingress": [{**rule, "securityGroups": [], "self": True}]}
    held = door.up(seen, wanted)
    assert held.identity == caught.value.identity
    door.settled(held, wanted)
    door.gone(held)
