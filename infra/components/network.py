"""The private network: subnets without a way out, and the endpoints that AWS services are reached through."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.ec2.default_security_group import DefaultSecurityGroup
from pulumi_aws.ec2.flow_log import FlowLog
from pulumi_aws.ec2.route_table import RouteTable
from pulumi_aws.ec2.route_table_association import RouteTableAssociation
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.ec2.vpc_endpoint import VpcEndpoint

from infra import perimeter
from infra.components.security_groups import SecurityGroups, SecurityGroupsArgs
from infra.site import Site

INTERFACE_SERVICES = ("sagemaker.api", "sagemaker.runtime", "ecr.api", "ecr.dkr", "sts", "kms", "logs", "monitoring")
_FLOW_LOG_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """`flow_log_role_arn` writes the flow logs, under the key `log_key_arn`."""

    site: Site
    flow_log_role_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]


class Network(pulumi.ComponentResource):
    """A VPC with private subnets in several zones and no gateway to the internet.

    S3 and DynamoDB are reached through gateway endpoints, other services through interface endpoints; the policies
    of both let in this account's principals and this chain's buckets alone. The default security group is closed and
    all traffic is logged.

    Attributes:
        vpc_id, subnet_ids: ids.
        groups: the security groups.
    """

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Network", name, None, opts)
        self._site, self._name = args.site, name
        self._child = pulumi.ResourceOptions(parent=self)
        site = args.site
        vpc = Vpc(
            f"{name}-vpc",
            cidr_block=site.config.network.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._named("vpc"),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        DefaultSecurityGroup(f"{name}-default-group", vpc_id=vpc.id, tags=self._named("closed"), opts=self._child)
        table = RouteTable(f"{name}-routes", vpc_id=vpc.id, tags=self._named("private"), opts=self._child)
        self.subnet_ids = [self._subnet(index, vpc.id, table.id) for index in range(len(site.config.network.subnets))]
        gateways = {service: self._gateway(service, vpc.id, table.id) for service in ("s3", "dynamodb")}
        self.groups = SecurityGroups(
            f"{name}-groups",
            SecurityGroupsArgs(
                site=site,
                vpc_id=vpc.id,
                s3_prefix_list=gateways["s3"].prefix_list_id,
                dynamodb_prefix_list=gateways["dynamodb"].prefix_list_id,
            ),
            self._child,
        )
        for service in INTERFACE_SERVICES:
            self._interface(service, vpc.id)
        self._flow_logs(vpc.id, args)
        self.register_outputs({"vpc_id": vpc.id, "subnet_ids": self.subnet_ids})

    def _named(self, what: str) -> dict[str, str]:
        return {"Name": self._site.names.resource(what)}

    def _subnet(self, index: int, vpc_id: pulumi.Output[str], table_id: pulumi.Output[str]) -> pulumi.Output[str]:
        wanted, logical = self._site.config.network.subnets[index], f"{self._name}-subnet-{index + 1}"
        subnet = Subnet(
            logical,
            vpc_id=vpc_id,
            cidr_block=wanted.cidr,
            availability_zone=wanted.zone,
            map_public_ip_on_launch=False,
            tags=self._named(f"private-{index + 1}"),
            opts=self._child,
        )
        RouteTableAssociation(f"{logical}-routes", route_table_id=table_id, subnet_id=subnet.id, opts=self._child)
        identity: pulumi.Output[str] = subnet.id
        return identity

    def _gateway(self, service: str, vpc_id: pulumi.Output[str], table_id: pulumi.Output[str]) -> VpcEndpoint:
        return VpcEndpoint(
            f"{self._name}-{service}",
            vpc_id=vpc_id,
            service_name=f"com.amazonaws.{self._site.names.region}.{service}",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table_id],
            policy=perimeter.s3_policy(self._site) if service == "s3" else perimeter.account_policy(self._site),
            tags=self._named(service),
            opts=self._child,
        )

    def _interface(self, service: str, vpc_id: pulumi.Output[str]) -> None:
        logical = service.replace(".", "-")
        VpcEndpoint(
            f"{self._name}-{logical}",
            vpc_id=vpc_id,
            service_name=f"com.amazonaws.{self._site.names.region}.{service}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=self.subnet_ids,
            security_group_ids=[self.groups.endpoints],
            policy=perimeter.account_policy(self._site),
            tags=self._named(logical),
            opts=self._child,
        )

    def _flow_logs(self, vpc_id: pulumi.Output[str], args: NetworkArgs) -> None:
        group = LogGroup(
            f"{self._name}-flow-log-group",
            name=self._site.names.flow_log_group,
            retention_in_days=self._site.config.retention.logs,
            kms_key_id=args.log_key_arn,
            opts=self._child,
        )
        FlowLog(
            f"{self._name}-flow-log",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=args.flow_log_role_arn,
            max_aggregation_interval=_FLOW_LOG_SECONDS,
            tags=self._named("flow-log"),
            opts=self._child,
        )
