"""Networks: VPC, subnets, route tables, endpoints, flow logs."""

from __future__ import annotations

from typing import Any

from local.provider.api import Api
from local.provider.errors import AwsError, ProviderError
from local.provider.resource import Call, Properties, Read, ResourceType, Setting, Tags, Wait
from local.provider.rules import address_range


def tags(type_: str) -> Tags:
    """How EC2 tags everything it has; `type_` is the name in a tag specification."""
    return Tags(
        tag=Call("CreateTags", {"Resources": ["$id"]}),
        untag=Call("DeleteTags", {"Resources": ["$id"]}),
        names="Tags",
        untag_style="pairs",
        create=f"ec2:{type_}",
    )


def arn(resource: str) -> dict[str, str]:
    """The output `arn` of an EC2 resource."""
    return {"arn": "arn:{partition}:ec2:{region}:{account}:%s/{id}" % resource}  # noqa: UP031  braces are the template's


VPC = ResourceType(
    token="aws:ec2/vpc:Vpc",
    service="ec2",
    create=Call("CreateVpc", fields=("cidrBlock", "instanceTenancy")),
    identity="Vpc.VpcId",
    reads=(
        Read("DescribeVpcs", {"VpcIds": ["$id"]}, at="Vpcs[0]", absent=("InvalidVpcID.NotFound",)),
        Read(
            "DescribeVpcAttribute", {"VpcId": "$id", "Attribute": "enableDnsSupport"}, fields={"enableDnsSupport": "EnableDnsSupport.Value"}
        ),
        Read(
            "DescribeVpcAttribute",
            {"VpcId": "$id", "Attribute": "enableDnsHostnames"},
            fields={"enableDnsHostnames": "EnableDnsHostnames.Value"},
        ),
        Read(
            "DescribeRouteTables",
            {"Filters": [{"Name": "vpc-id", "Values": ["$id"]}, {"Name": "association.main", "Values": ["true"]}]},
            fields={"mainRouteTableId": "RouteTables[0].RouteTableId", "defaultRouteTableId": "RouteTables[0].RouteTableId"},
        ),
        Read(
            "DescribeSecurityGroups",
            {"Filters": [{"Name": "vpc-id", "Values": ["$id"]}, {"Name": "group-name", "Values": ["default"]}]},
            fields={"defaultSecurityGroupId": "SecurityGroups[0].GroupId"},
        ),
        Read(
            "DescribeNetworkAcls",
            {"Filters": [{"Name": "vpc-id", "Values": ["$id"]}, {"Name": "default", "Values": ["true"]}]},
            fields={"defaultNetworkAclId": "NetworkAcls[0].NetworkAclId"},
        ),
    ),
    settings=(
        Setting(("enableDnsSupport",), Call("ModifyVpcAttribute", {"VpcId": "$id", "EnableDnsSupport": {"Value": "$enableDnsSupport"}})),
        Setting(
            ("enableDnsHostnames",), Call("ModifyVpcAttribute", {"VpcId": "$id", "EnableDnsHostnames": {"Value": "$enableDnsHostnames"}})
        ),
    ),
    delete=Call("DeleteVpc", {"VpcId": "$id"}),
    replace=("cidrBlock", "instanceTenancy"),
    defaults={"enableDnsSupport": True, "enableDnsHostnames": False, "instanceTenancy": "default"},
    computed=("cidrBlock",),
    outputs=arn("vpc"),
    tags=tags("vpc"),
    wait=Wait("State", ("available",)),
    check=address_range,
)

SUBNET = ResourceType(
    token="aws:ec2/subnet:Subnet",
    service="ec2",
    create=Call("CreateSubnet", fields=("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId")),
    identity="Subnet.SubnetId",
    reads=(
        Read(
            "DescribeSubnets",
            {"SubnetIds": ["$id"]},
            at="Subnets[0]",
            fields={"privateDnsHostnameTypeOnLaunch": "PrivateDnsNameOptionsOnLaunch.HostnameType"},
            absent=("InvalidSubnetID.NotFound",),
        ),
    ),
    settings=(
        Setting(
            ("mapPublicIpOnLaunch",),
            Call("ModifySubnetAttribute", {"SubnetId": "$id", "MapPublicIpOnLaunch": {"Value": "$mapPublicIpOnLaunch"}}),
        ),
    ),
    delete=Call("DeleteSubnet", {"SubnetId": "$id"}),
    replace=("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"),
    defaults={"mapPublicIpOnLaunch": False},
    computed=("availabilityZone", "availabilityZoneId"),
    outputs=arn("subnet"),
    tags=tags("subnet"),
    wait=Wait("State", ("available",)),
    check=address_range,
    on_delete=lambda api, identity, state: patiently(api, "DeleteSubnet", SubnetId=identity),
)

ROUTE_TABLE = ResourceType(
    token="aws:ec2/routeTable:RouteTable",
    service="ec2",
    create=Call("CreateRouteTable", fields=("vpcId",)),
    identity="RouteTable.RouteTableId",
    reads=(
        Read(
            "DescribeRouteTables",
            {"RouteTableIds": ["$id"]},
            at="RouteTables[0]",
            skip=("routes", "propagatingVgws"),
            absent=("InvalidRouteTableID.NotFound",),
        ),
    ),
    delete=Call("DeleteRouteTable", {"RouteTableId": "$id"}),
    replace=("vpcId",),
    outputs=arn("route-table"),
    tags=tags("route-table"),
)

ROUTE_TABLE_ASSOCIATION = ResourceType(
    token="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    create=Call("AssociateRouteTable", fields=("routeTableId", "subnetId", "gatewayId")),
    identity="AssociationId",
    reads=(
        Read(
            "DescribeRouteTables",
            {"Filters": [{"Name": "association.route-table-association-id", "Values": ["$id"]}]},
            at="RouteTables[].Associations[] | [?RouteTableAssociationId=='{id}'] | [0]",
            gone="AssociationState.State=='disassociated'",
        ),
    ),
    delete=Call("DisassociateRouteTable", {"AssociationId": "$id"}),
    absent=("InvalidAssociationID.NotFound",),
    # The official plugin moves an association to another table in place, which changes its id; here it is made anew.
    replace=("routeTableId", "subnetId", "gatewayId"),
    delete_before_replace=True,
)


def patiently(api: Api, operation: str, /, **params: Any) -> None:
    """Deletes what network interfaces may hold on to for a moment."""

    def done() -> bool:
        try:
            api.call("ec2", operation, **params)
        except AwsError as error:
            if error.code != "DependencyViolation":
                raise
            last.append(error)
            return False
        return True

    last: list[AwsError] = []
    try:
        api.wait(done, 60, "what depends on it to go")
    except ProviderError:
        if last:
            raise last[-1] from None
        raise


def _update_endpoint(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    params: dict[str, Any] = {}
    for name, member in (("routeTableIds", "RouteTableIds"), ("subnetIds", "SubnetIds"), ("securityGroupIds", "SecurityGroupIds")):
        if name in changed:
            before, after = set(old.get(name) or []), set(new.get(name) or [])
            if after - before:
                params[f"Add{member}"] = sorted(after - before)
            if before - after:
                params[f"Remove{member}"] = sorted(before - after)
    if "policy" in changed:
        params |= {"PolicyDocument": new["policy"]} if new.get("policy") else {"ResetPolicy": True}
    for name, member in (("privateDnsEnabled", "PrivateDnsEnabled"), ("ipAddressType", "IpAddressType")):
        if name in changed and new.get(name) is not None:
            params[member] = new[name]
    if params:
        api.call("ec2", "ModifyVpcEndpoint", VpcEndpointId=identity, **params)


def _delete_endpoint(api: Api, identity: str, state: Properties) -> None:
    answer = api.call("ec2", "DeleteVpcEndpoints", VpcEndpointIds=[identity])
    for failed in answer.get("Unsuccessful") or []:
        if failed["Error"]["Code"] != "InvalidVpcEndpointId.NotFound":
            raise AwsError("ec2", "DeleteVpcEndpoints", failed["Error"]["Code"], failed["Error"]["Message"])


VPC_ENDPOINT = ResourceType(
    token="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    create=Call(
        "CreateVpcEndpoint",
        {"PolicyDocument": "$policy"},
        fields=(
            "vpcId",
            "serviceName",
            "vpcEndpointType",
            "routeTableIds",
            "subnetIds",
            "securityGroupIds",
            "privateDnsEnabled",
            "ipAddressType",
        ),
    ),
    identity="VpcEndpoint.VpcEndpointId",
    reads=(
        Read(
            "DescribeVpcEndpoints",
            {"VpcEndpointIds": ["$id"]},
            at="VpcEndpoints[0]",
            fields={"policy": "PolicyDocument", "securityGroupIds": "Groups[].GroupId"},
            skip=("subnetConfigurations", "dnsOptions"),
            absent=("InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound"),
            gone="State=='deleted'",
        ),
        Read(
            "DescribePrefixLists",
            {"Filters": [{"Name": "prefix-list-name", "Values": ["$serviceName"]}]},
            fields={"prefixListId": "PrefixLists[0].PrefixListId", "cidrBlocks": "PrefixLists[0].Cidrs"},
        ),
    ),
    replace=("vpcId", "serviceName", "vpcEndpointType"),
    defaults={"vpcEndpointType": "Gateway"},
    computed=("policy", "routeTableIds", "subnetIds", "securityGroupIds", "privateDnsEnabled", "ipAddressType"),
    documents=("policy",),
    local=("autoAccept",),
    outputs=arn("vpc-endpoint"),
    tags=tags("vpc-endpoint"),
    wait=Wait("State", ("available", "Available", "pendingAcceptance"), ("failed", "rejected"), seconds=600),
    vanishes=True,
    on_update=_update_endpoint,
    on_delete=_delete_endpoint,
)

_FLOW_SOURCES = (
    ("vpcId", "VPC"),
    ("subnetId", "Subnet"),
    ("eniId", "NetworkInterface"),
    ("transitGatewayId", "TransitGateway"),
)


def _create_flow_log(api: Api, inputs: Properties) -> str:
    source, type_ = next(((inputs[n], t) for n, t in _FLOW_SOURCES if inputs.get(n)), (None, ""))
    if source is None:
        raise ProviderError("one of vpcId, subnetId, eniId, transitGatewayId is required")
    members = {
        "TrafficType": "trafficType",
        "LogDestinationType": "logDestinationType",
        "LogDestination": "logDestination",
        "DeliverLogsPermissionArn": "iamRoleArn",
        "LogFormat": "logFormat",
        "MaxAggregationInterval": "maxAggregationInterval",
    }
    params = {member: inputs[name] for member, name in members.items() if inputs.get(name) is not None}
    if inputs.get("tagsAll"):
        specification = [{"Key": k, "Value": v} for k, v in sorted(inputs["tagsAll"].items())]
        params["TagSpecifications"] = [{"ResourceType": "vpc-flow-log", "Tags": specification}]
    answer = api.call("ec2", "CreateFlowLogs", ResourceIds=[source], ResourceType=type_, **params)
    for failed in answer.get("Unsuccessful") or []:
        raise AwsError("ec2", "CreateFlowLogs", failed["Error"]["Code"], failed["Error"]["Message"])
    return str(answer["FlowLogIds"][0])


_FLOW_PROPERTIES = ("trafficType", "logDestinationType", "logDestination", "logFormat", "maxAggregationInterval")

FLOW_LOG = ResourceType(
    token="aws:ec2/flowLog:FlowLog",
    service="ec2",
    create=Call("CreateFlowLogs", {"DeliverLogsPermissionArn": "$iamRoleArn"}, fields=_FLOW_PROPERTIES),
    identity="FlowLogIds[0]",
    reads=(
        Read(
            "DescribeFlowLogs",
            {"FlowLogIds": ["$id"]},
            at="FlowLogs[0]",
            fields={"iamRoleArn": "DeliverLogsPermissionArn"},
            skip=("vpcId", "subnetId", "eniId", "transitGatewayId"),
            absent=("InvalidFlowLogId.NotFound",),
        ),
    ),
    delete=Call("DeleteFlowLogs", {"FlowLogIds": ["$id"]}),
    replace=(*_FLOW_PROPERTIES, "iamRoleArn", *(name for name, _ in _FLOW_SOURCES)),
    defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
    computed=("logFormat", "logDestination"),
    local=tuple(name for name, _ in _FLOW_SOURCES),
    outputs=arn("vpc-flow-log"),
    tags=tags("vpc-flow-log"),
    on_create=_create_flow_log,
)

TYPES = (VPC, SUBNET, ROUTE_TABLE, ROUTE_TABLE_ASSOCIATION, VPC_ENDPOINT, FLOW_LOG)
