"""Requests to EC2 that moto answers wrong: rules of security groups, VPC endpoints whose route tables or subnets change."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses import EC2Response

from local.cloud.aws_errors import CloudError


class Ec2Response(EC2Response):
    """moto's EC2 with these operations replaced."""

    # Rules of security groups

    def authorize_security_group_ingress(self) -> ActionResult:
        return self._described(super().authorize_security_group_ingress())

    def authorize_security_group_egress(self) -> ActionResult:
        return self._described(super().authorize_security_group_egress())

    def _described(self, answer: ActionResult) -> ActionResult:
        """A rule whose source is a group or a prefix list has a description too."""
        result: Any = answer.result
        for rule in result["SecurityGroupRules"]:
            if not rule.description:
                _describe(rule, _description(rule, self._get_param("IpPermissions", [])))
        return answer

    def modify_security_group_rules(self) -> ActionResult:
        group = self._group(self._get_param("GroupId"))
        for entry in self._get_param("SecurityGroupRules", []):
            rule = group.get_rule(entry["SecurityGroupRuleId"])
            if rule is None:
                raise CloudError(
                    "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{entry['SecurityGroupRuleId']}' does not exist"
                )
            _modify(rule, entry["SecurityGroupRule"], self.current_account)
        return ActionResult({"Return": True})

    def update_security_group_rule_descriptions_ingress(self) -> ActionResult:
        return self._redescribe(super().update_security_group_rule_descriptions_ingress)

    def update_security_group_rule_descriptions_egress(self) -> ActionResult:
        return self._redescribe(super().update_security_group_rule_descriptions_egress)

    def _redescribe(self, by_permission: Any) -> ActionResult:
        """Descriptions are given by rule id, or by repeating the permission."""
        entries = self._get_param("SecurityGroupRuleDescriptions", [])
        if not entries:
            by_permission()
        group = self._group(self._get_param("GroupId"))
        for entry in entries:
            rule = group.get_rule(entry["SecurityGroupRuleId"])
            if rule is None:
                raise CloudError(
                    "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{entry['SecurityGroupRuleId']}' does not exist"
                )
            _describe(rule, entry.get("Description"))
        return ActionResult({"Return": True})

    def _group(self, group_id: str) -> Any:
        group = self.ec2_backend.get_security_group_from_id(group_id)
        if group is None:
            raise CloudError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return group

    # VPC endpoints

    def create_vpc_endpoint(self) -> ActionResult:
        self._one_subnet_in_a_zone(self._get_param("SubnetIds", []))
        answer = super().create_vpc_endpoint()
        result: Any = answer.result
        endpoint = result["VpcEndpoint"]
        if endpoint.network_interface_ids:
            subnets = set(endpoint.subnet_ids)
            self._reattach(endpoint, added=subnets, removed=subnets)
        return answer

    def modify_vpc_endpoint(self) -> ActionResult:
        endpoint = self._endpoint(self._get_param("VpcEndpointId"))
        tables = set(endpoint.route_table_ids)
        subnets = set(endpoint.subnet_ids or ())
        wanted = (subnets - set(self._get_param("RemoveSubnetIds", []))) | set(self._get_param("AddSubnetIds", []))
        self._one_subnet_in_a_zone(sorted(wanted))
        answer = super().modify_vpc_endpoint()
        if self._get_param("ResetPolicy"):
            endpoint.policy_document = (
                '{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'
            )
        if self._get_param("PrivateDnsEnabled") is not None:
            endpoint.private_dns_enabled = self._get_bool_param("PrivateDnsEnabled")
        self._reroute(endpoint, added=set(endpoint.route_table_ids) - tables, removed=tables - set(endpoint.route_table_ids))
        if endpoint.vpc_endpoint_type.lower() == "interface":
            self._reattach(endpoint, added=set(endpoint.subnet_ids or ()) - subnets, removed=subnets - set(endpoint.subnet_ids or ()))
        return answer

    def delete_vpc_endpoints(self) -> ActionResult:
        unsuccessful = []
        for endpoint_id in self._get_param("VpcEndpointIds", []):
            endpoint = self.ec2_backend.vpc_end_points.pop(endpoint_id, None)
            if endpoint is None:
                error = {"Code": "InvalidVpcEndpoint.NotFound", "Message": f"The Vpc Endpoint Id '{endpoint_id}' does not exist"}
                unsuccessful.append({"ResourceId": endpoint_id, "Error": error})
                continue
            self._reroute(endpoint, added=set(), removed=set(endpoint.route_table_ids))
            for interface in endpoint.network_interface_ids or ():
                self.ec2_backend.enis.pop(interface, None)
        return ActionResult({"Unsuccessful": unsuccessful})

    def _endpoint(self, endpoint_id: str) -> VPCEndPoint:
        found: VPCEndPoint | None = self.ec2_backend.vpc_end_points.get(endpoint_id)
        if found is None:
            raise CloudError("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{endpoint_id}' does not exist")
        return found

    def _one_subnet_in_a_zone(self, subnets: Iterable[str]) -> None:
        """An interface endpoint has at most one subnet in each availability zone."""
        seen: set[str] = set()
        for subnet in subnets:
            zone = self.ec2_backend.get_subnet(subnet).availability_zone
            if zone in seen:
                raise CloudError(
                    "DuplicateSubnetsInSameZone",
                    f"Found another VPC endpoint subnet in the availability zone of {subnet}. "
                    "VPC endpoint subnets should be in different availability zones supported by the VPC endpoint service.",
                )
            seen.add(zone)

    def _reroute(self, endpoint: VPCEndPoint, added: Iterable[str], removed: Iterable[str]) -> None:
        """A gateway endpoint is a route in each of its tables."""
        if not endpoint.destination_prefix_list_id:
            return
        for table in added:
            self.ec2_backend.create_route(
                table, None, gateway_id=endpoint.id, destination_prefix_list_id=endpoint.destination_prefix_list_id
            )
        for table in removed:
            held = self.ec2_backend.route_tables.get(table)
            if held is not None and any(route.gateway is not None and route.gateway.id == endpoint.id for route in held.routes):
                self.ec2_backend.delete_route(table, endpoint.destination_prefix_list_id)

    def _reattach(self, endpoint: VPCEndPoint, added: Iterable[str], removed: Iterable[str]) -> None:
        """An interface endpoint has a network interface in each of its subnets."""
        interfaces = list(endpoint.network_interface_ids or ())
        for interface in list(interfaces):
            held = self.ec2_backend.enis.get(interface)
            if held is not None and held.subnet.id in set(removed):
                del self.ec2_backend.enis[interface]
                interfaces.remove(interface)
        for subnet in added:
            interfaces.append(self.ec2_backend.create_network_interface(subnet, self._free_address(subnet)).id)
        endpoint.network_interface_ids = interfaces

    def _free_address(self, subnet: str) -> str:
        """An address of the subnet that nothing has; AWS keeps the first four and the last for itself."""
        hosts = ipaddress.IPv4Network(self.ec2_backend.get_subnet(subnet).cidr_block).hosts()
        taken = {interface.private_ip_address for interface in self.ec2_backend.enis.values() if interface.subnet.id == subnet}
        free = (str(host) for host in itertools.islice(hosts, 3, None) if str(host) not in taken)
        address = next(free, None)
        if address is None:
            raise CloudError("InsufficientFreeAddressesInSubnet", f"The specified subnet '{subnet}' does not have enough free addresses.")
        return address


def _description(rule: SecurityGroupRule, permissions: list[dict[str, Any]]) -> str | None:
    for permission in permissions:
        for pair in permission.get("UserIdGroupPairs", []):
            if pair.get("GroupId") and pair.get("GroupId") == rule.source_group.get("GroupId"):
                return _text(pair.get("Description"))
        for prefix in permission.get("PrefixListIds", []):
            if prefix.get("PrefixListId") == rule.prefix_list_id:
                return _text(prefix.get("Description"))
    return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _describe(rule: SecurityGroupRule, description: str | None) -> None:
    if description is None:
        rule.ip_range.pop("Description", None)
        rule.source_group.pop("Description", None)
        return
    rule.ip_range["Description"] = description
    if rule.source_group:
        rule.source_group["Description"] = description


def _modify(rule: SecurityGroupRule, wanted: dict[str, Any], account: str) -> None:
    sources = [member for member in ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId") if wanted.get(member)]
    if len(sources) != 1:
        raise CloudError(
            "MissingParameter" if not sources else "InvalidParameterCombination",
            "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId",
        )
    protocol = str(wanted.get("IpProtocol") or "")
    if not protocol:
        raise CloudError(
            "InvalidParameterValue", "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
        )
    protocol = {"6": "tcp", "17": "udp", "1": "icmp", "all": "-1"}.get(protocol, protocol)
    everything = protocol == "-1"
    ports = wanted.get("FromPort"), wanted.get("ToPort")
    if not everything and None in ports:
        raise CloudError("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    rule.ip_protocol = protocol
    rule.from_port, rule.to_port = (None, None) if everything else (int(ports[0]), int(ports[1]))  # type: ignore[arg-type]
    names = {"CidrIpv4": "CidrIp", "CidrIpv6": "CidrIpv6"}
    rule.ip_range = {names[sources[0]]: wanted[sources[0]]} if sources[0] in names else {}
    rule.prefix_list_id = wanted.get("PrefixListId")
    rule.source_group = {"GroupId": wanted["ReferencedGroupId"], "UserId": account} if wanted.get("ReferencedGroupId") else {}
    _describe(rule, wanted.get("Description"))
