"""VPC, subnets, route tables, security groups, endpoints, flow logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.provider.conftest import ACCOUNT, DEFAULT_TAGS
from tests.provider.door import CheckFailed, Door, Held

VPC = "aws:ec2/vpc:Vpc"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.fixture(scope="module")
def vpc(door: Door) -> Held:
    return door.up(door.held(VPC, "net"), {"cidrBlock": "10.10.0.0/16", "enableDnsHostnames": True, "tags": {"Name": "net"}})


@pytest.fixture(scope="module")
def subnet(door: Door, vpc: Held) -> Held:
    inputs = {"vpcId": vpc.identity, "cidrBlock": "10.10.1.0/24", "availabilityZone": "us-east-1a", "mapPublicIpOnLaunch": False}
    return door.cycle("aws:ec2/subnet:Subnet", inputs, {"mapPublicIpOnLaunch": True}, name="subnet")


def test_a_vpc_is_made_changed_in_place_and_deleted(door: Door) -> None:
    held = door.cycle(VPC, {"cidrBlock": "10.30.0.0/16"}, {"enableDnsHostnames": True, "tags": {"Name": "other"}})
    assert held["arn"] == f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/{held.identity}"
    assert held["enableDnsSupport"] is True
    assert held["tags"] == {"Name": "other"}
    assert held["tagsAll"] == {**DEFAULT_TAGS, "Name": "other"}
    assert held["defaultSecurityGroupId"].startswith("sg-")
    assert held["mainRouteTableId"].startswith("rtb-")
    door.gone(held)


def test_another_address_range_replaces_the_vpc(door: Door, vpc: Held) -> None:
    planned = door.preview(vpc, {"cidrBlock": "10.11.0.0/16", "enableDnsHostnames": True, "tags": {"Name": "net"}})
    assert planned.replaces == ["cidrBlock"]
    assert planned.changes == {"cidrBlock": "update_replace"}
    assert not planned.delete_first


def test_drift_of_an_attribute_and_of_a_tag_shows_after_refresh(door: Door, session: Any) -> None:
    inputs = {"cidrBlock": "10.31.0.0/16", "enableDnsHostnames": True}
    held = door.up(door.held(VPC), inputs)
    ec2 = session.client("ec2")
    ec2.modify_vpc_attribute(VpcId=held.identity, EnableDnsHostnames={"Value": False})
    ec2.create_tags(Resources=[held.identity], Tags=[{"Key": "owner", "Value": "somebody"}])
    seen = door.refresh(held)
    assert seen is not None
    planned = door.preview(seen, inputs)
    assert planned.changes.keys() == {"enableDnsHostnames", "tags", "tagsAll.owner"}
    assert not planned.replaces
    door.settled(door.up(seen, inputs), inputs)
    ec2.delete_vpc(VpcId=held.identity)
    assert door.refresh(held) is None


def test_subnet_says_where_it_is(subnet: Held) -> None:
    assert subnet["availabilityZone"] == "us-east-1a"
    assert subnet["arn"].endswith(f"subnet/{subnet.identity}")


def test_route_table_and_its_association(door: Door, vpc: Held, subnet: Held) -> None:
    table = door.cycle("aws:ec2/routeTable:RouteTable", {"vpcId": vpc.identity, "tags": {"Name": "private"}})
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    link = door.cycle(token, {"routeTableId": table.identity, "subnetId": subnet.identity})
    assert link.identity.startswith("rtbassoc-")
    door.gone(link)
    door.gone(table)


def test_security_group_lets_nothing_out_unless_told(door: Door, vpc: Held, session: Any) -> None:
    inputs = {"name": "serving", "description": "serving", "vpcId": vpc.identity, "tags": {"Name": "serving"}}
    held = door.cycle(GROUP, inputs, {"tags": {"Name": "renamed"}})
    found = session.client("ec2").describe_security_groups(GroupIds=[held.identity])["SecurityGroups"][0]
    assert found["IpPermissionsEgress"] == []
    planned = door.preview(held, {**inputs, "description": "another"})
    assert planned.replaces == ["description"]
    assert planned.delete_first, "two groups of one name cannot be in a VPC"
    door.gone(held)


def test_inline_rules_are_a_set(door: Door, vpc: Held) -> None:
    rules = [
        {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8", "192.168.0.0/16"], "description": "https"},
        {"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True},
    ]
    inputs = {"description": "inline", "vpcId": vpc.identity, "ingress": rules}
    held = door.cycle(GROUP, inputs, {"ingress": rules[:1], "egress": [{**rules[1]}]})
    swapped = {**inputs, "ingress": [{**rules[0], "cidrBlocks": rules[0]["cidrBlocks"][::-1]}], "egress": [rules[1]]}  # type: ignore[index]
    assert door.preview(held, swapped).empty
    door.gone(held)


def test_rules_of_their_own(door: Door, vpc: Held) -> None:
    group = door.up(door.held(GROUP, "rules"), {"description": "rules", "vpcId": vpc.identity})
    inputs = {"securityGroupId": group.identity, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "10.0.0.0/8"}
    rule = door.cycle(INGRESS, {**inputs, "description": "in"}, {"fromPort": 80})
    assert rule["securityGroupRuleId"] == rule.identity
    every = {"securityGroupId": group.identity, "ipProtocol": "-1", "referencedSecurityGroupId": group.identity}
    out = door.cycle(EGRESS, every)
    seen = door.refresh(group)
    assert seen is not None
    assert seen.state == group.state, "a rule of its own is no change of its group"
    with pytest.raises(CheckFailed, match="exactly one of"):
        door.check(door.held(EGRESS), {**every, "cidrIpv4": "10.0.0.0/8"})
    door.gone(rule)
    door.gone(out)
    door.gone(group)


def test_default_group_is_closed_and_stays_closed(door: Door, vpc: Held, session: Any) -> None:
    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    inputs = {"vpcId": vpc.identity, "tags": {"Name": "closed"}}
    held = door.cycle(token, inputs)
    ec2 = session.client("ec2")
    found = ec2.describe_security_groups(GroupIds=[held.identity])["SecurityGroups"][0]
    assert (found["IpPermissions"], found["IpPermissionsEgress"]) == ([], [])
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=held.identity, IpPermissions=[rule])
    seen = door.refresh(held)
    assert seen is not None
    assert door.preview(seen, inputs).changes == {"ingress": "delete"}
    door.settled(door.up(seen, inputs), inputs)


def test_gateway_and_interface_endpoints(door: Door, vpc: Held, subnet: Held) -> None:
    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}
    table = door.up(door.held("aws:ec2/routeTable:RouteTable", "gateway"), {"vpcId": vpc.identity})
    gateway = door.cycle(
        token,
        {
            "vpcId": vpc.identity,
            "serviceName": "com.amazonaws.us-east-1.s3",
            "routeTableIds": [table.identity],
            "policy": json.dumps(policy),
        },
        {"tags": {"Name": "s3"}},
        name="gateway",
    )
    assert gateway["prefixListId"].startswith("pl-")
    assert gateway["vpcEndpointType"] == "Gateway"
    group = door.up(door.held(GROUP, "endpoints"), {"description": "endpoints", "vpcId": vpc.identity})
    inputs = {
        "vpcId": vpc.identity,
        "serviceName": "com.amazonaws.us-east-1.sts",
        "vpcEndpointType": "Interface",
        "privateDnsEnabled": True,
        "subnetIds": [subnet.identity],
        "securityGroupIds": [group.identity],
    }
    interface = door.cycle(token, inputs, name="interface")
    for held in (interface, gateway, table, group):
        door.gone(held)


def test_flow_log_of_a_vpc(door: Door, vpc: Held) -> None:
    logs = door.up(door.held("aws:cloudwatch/logGroup:LogGroup", "flow"), {"name": "flow"})
    role = door.up(door.held("aws:iam/role:Role", "flow"), {"name": "flow", "assumeRolePolicy": TRUST})
    inputs = {
        "vpcId": vpc.identity,
        "trafficType": "ALL",
        "logDestinationType": "cloud-watch-logs",
        "logDestination": logs["arn"],
        "iamRoleArn": role["arn"],
        "maxAggregationInterval": 60,
    }
    held = door.cycle("aws:ec2/flowLog:FlowLog", inputs, {"tags": {"Name": "flow"}})
    assert door.preview(held, {**inputs, "maxAggregationInterval": 600}).replaces == ["maxAggregationInterval"]
    for made in (held, role, logs):
        door.gone(made)


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
