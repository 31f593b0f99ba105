"""Who may talk to whom inside the network."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws.ec2.security_group import SecurityGroup
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule

from infra.site import Site

_HTTPS = 443
_HIGHEST_PORT = 65535
_WHAT = {
    "jobs": "Jobs of the pipelines",
    "serving": "Model containers behind the endpoint",
    "endpoints": "Interface endpoints of AWS services",
}


@dataclass(frozen=True, kw_only=True)
class SecurityGroupsArgs:
    """Prefix lists are those of the gateway endpoints."""

    site: Site
    vpc_id: pulumi.Input[str]
    s3_prefix_list: pulumi.Input[str]
    dynamodb_prefix_list: pulumi.Input[str]


class SecurityGroups(pulumi.ComponentResource):
    """Three groups: jobs, serving, endpoints. Jobs and model containers reach AWS services over HTTPS and nothing else.

    Machines of one distributed training job talk to each other, so jobs may talk to jobs. Nobody opens a connection
    to a model container: SageMaker hands it its requests.

    Attributes:
        jobs, serving, endpoints: ids of the groups.
    """

    def __init__(self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:SecurityGroups", name, None, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        ids = {what: self._group(what, args) for what in _WHAT}
        self.jobs, self.serving, self.endpoints = ids["jobs"], ids["serving"], ids["endpoints"]
        for who, group in (("jobs", self.jobs), ("serving", self.serving)):
            self._out(f"{who}-to-endpoints", group, "HTTPS to AWS services", group_id=self.endpoints)
            self._out(f"{who}-to-s3", group, "HTTPS to S3", prefix_list=args.s3_prefix_list)
            self._in(f"endpoints-from-{who}", self.endpoints, f"HTTPS from {who}", group, _HTTPS, _HTTPS)
        self._out("jobs-to-dynamodb", self.jobs, "HTTPS to DynamoDB", prefix_list=args.dynamodb_prefix_list)
        self._out("jobs-to-jobs", self.jobs, "Distributed training", group_id=self.jobs, ports=(0, _HIGHEST_PORT))
        self._in("jobs-from-jobs", self.jobs, "Distributed training", self.jobs, 0, _HIGHEST_PORT)
        self.register_outputs(dict(ids))

    def _group(self, what: str, args: SecurityGroupsArgs) -> pulumi.Output[str]:
        physical = args.site.names.security_group(what)
        group = SecurityGroup(
            f"{self._name}-{what}", name=physical, description=_WHAT[what], vpc_id=args.vpc_id, tags={"Name": physical}, opts=self._child
        )
        identity: pulumi.Output[str] = group.id
        return identity

    def _out(
        self,
        what: str,
        group: pulumi.Output[str],
        description: str,
        *,
        group_id: pulumi.Input[str] | None = None,
        prefix_list: pulumi.Input[str] | None = None,
        ports: tuple[int, int] = (_HTTPS, _HTTPS),
    ) -> None:
        SecurityGroupEgressRule(
            f"{self._name}-{what}",
            security_group_id=group,
            description=description,
            ip_protocol="tcp",
            from_port=ports[0],
            to_port=ports[1],
            referenced_security_group_id=group_id,
            prefix_list_id=prefix_list,
            opts=self._child,
        )

    def _in(self, what: str, group: pulumi.Output[str], description: str, source: pulumi.Output[str], first: int, last: int) -> None:
        SecurityGroupIngressRule(
            f"{self._name}-{what}",
            security_group_id=group,
            description=description,
            ip_protocol="tcp",
            from_port=first,
            to_port=last,
            referenced_security_group_id=source,
            opts=self._child,
        )
