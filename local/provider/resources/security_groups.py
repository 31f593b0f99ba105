"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.provider.api import Api
from local.provider.errors import AwsError, ProviderError
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType
from local.provider.resources.ec2 import arn, patiently, tags

_GONE = ("InvalidGroup.NotFound", "InvalidGroupId.Malformed")
_READ = Read(
    "DescribeSecurityGroups",
    {"GroupIds": ["$id"]},
    at="SecurityGroups[0]",
    fields={"name": "GroupName", "ingress": "IpPermissions", "egress": "IpPermissionsEgress", "ownerId": "OwnerId"},
    absent=_GONE,
)


def _permission(rule: Mapping[str, Any], group: str) -> dict[str, Any]:
    """One inline rule as EC2 wants it."""
    described = {"Description": rule["description"]} if rule.get("description") else {}
    protocol = "-1" if str(rule["protocol"]).lower() in ("-1", "all") else str(rule["protocol"]).lower()
    made: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1":
        made |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    pairs = [{"GroupId": g, **described} for g in rule.get("securityGroups") or []]
    if rule.get("self"):
        pairs.append({"GroupId": group, **described})
    ranges = {
        "IpRanges": [{"CidrIp": c, **described} for c in rule.get("cidrBlocks") or []],
        "Ipv6Ranges": [{"CidrIpv6": c, **described} for c in rule.get("ipv6CidrBlocks") or []],
        "PrefixListIds": [{"PrefixListId": p, **described} for p in rule.get("prefixListIds") or []],
        "UserIdGroupPairs": pairs,
    }
    return made | {k: v for k, v in ranges.items() if v}


def _rules(permissions: list[Mapping[str, Any]], group: str) -> list[dict[str, Any]]:
    """EC2's permissions as inline rules: one for each protocol, ports and description."""
    made: dict[tuple[Any, ...], dict[str, Any]] = {}
    for permission in permissions:
        protocol = permission["IpProtocol"]
        ports = (0, 0) if protocol == "-1" else (permission.get("FromPort", 0), permission.get("ToPort", 0))
        sources = [
            *(("cidrBlocks", r["CidrIp"], r) for r in permission.get("IpRanges", [])),
            *(("ipv6CidrBlocks", r["CidrIpv6"], r) for r in permission.get("Ipv6Ranges", [])),
            *(("prefixListIds", r["PrefixListId"], r) for r in permission.get("PrefixListIds", [])),
            *(("securityGroups", r["GroupId"], r) for r in permission.get("UserIdGroupPairs", [])),
        ]
        for name, value, detail in sources:
            text = detail.get("Description", "")
            rule = made.setdefault((protocol, *ports, text), {"protocol": protocol, "fromPort": ports[0], "toPort": ports[1]})
            if text:
                rule["description"] = text
            if name == "securityGroups" and value == group:
                rule["self"] = True
            else:
                rule.setdefault(name, []).append(value)
    return list(made.values())


def _read_group(api: Api, identity: str, known: Properties) -> Properties | None:
    found = api.try_call("ec2", "DescribeSecurityGroups", _GONE, GroupIds=[identity])
    if not found or not found.get("SecurityGroups"):
        return None
    group = found["SecurityGroups"][0]
    return {
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group.get("VpcId"),
        "ownerId": group.get("OwnerId"),
        "ingress": _rules(group.get("IpPermissions", []), identity),
        "egress": _rules(group.get("IpPermissionsEgress", []), identity),
        "revokeRulesOnDelete": known.get("revokeRulesOnDelete"),
        "tagsAll": {t["Key"]: t["Value"] for t in group.get("Tags", []) if not t["Key"].startswith("aws:")},
    }


def _set_rules(api: Api, identity: str, direction: str, rules: list[Mapping[str, Any]]) -> None:
    """Makes a group's rules in one direction exactly these."""
    group = api.call("ec2", "DescribeSecurityGroups", GroupIds=[identity])["SecurityGroups"][0]
    present = group["IpPermissions" if direction == "Ingress" else "IpPermissionsEgress"]
    if present:
        api.call("ec2", f"RevokeSecurityGroup{direction}", GroupId=identity, IpPermissions=[_without_owner(p) for p in present])
    if rules:
        api.call("ec2", f"AuthorizeSecurityGroup{direction}", GroupId=identity, IpPermissions=[_permission(r, identity) for r in rules])


def _without_owner(permission: Mapping[str, Any]) -> dict[str, Any]:
    made = {k: v for k, v in permission.items() if v not in ([], None)}
    if "UserIdGroupPairs" in made:
        made["UserIdGroupPairs"] = [{k: v for k, v in pair.items() if k == "GroupId"} for pair in made["UserIdGroupPairs"]]
    return made


def _create_group(api: Api, inputs: Properties) -> str:
    params: dict[str, Any] = {"GroupName": inputs["name"], "Description": inputs["description"]}
    if inputs.get("vpcId"):
        params["VpcId"] = inputs["vpcId"]
    if inputs.get("tagsAll"):
        pairs = [{"Key": k, "Value": v} for k, v in sorted(inputs["tagsAll"].items())]
        params["TagSpecifications"] = [{"ResourceType": "security-group", "Tags": pairs}]
    return str(api.call("ec2", "CreateSecurityGroup", **params)["GroupId"])


def _first_rules(api: Api, identity: str, inputs: Properties) -> None:
    # A new group lets everything out; one that the program describes lets out what the program says.
    _set_rules(api, identity, "Egress", inputs.get("egress") or [])
    if inputs.get("ingress"):
        _set_rules(api, identity, "Ingress", inputs["ingress"])


def _update_group(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    for name, direction in (("ingress", "Ingress"), ("egress", "Egress")):
        if name in changed:
            _set_rules(api, identity, direction, new.get(name) or [])


def _delete_group(api: Api, identity: str, state: Properties) -> None:
    if state.get("revokeRulesOnDelete"):
        for direction in ("Ingress", "Egress"):
            _set_rules(api, identity, direction, [])
    patiently(api, "DeleteSecurityGroup", GroupId=identity)


SECURITY_GROUP = ResourceType(
    token="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    create=Call("CreateSecurityGroup", {"GroupName": "$name"}, fields=("description", "vpcId")),
    identity="GroupId",
    reads=(_READ,),
    replace=("name", "namePrefix", "description", "vpcId"),
    name=AutoName("name", 255, prefix="namePrefix"),
    defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
    computed=("vpcId", "ingress", "egress", "namePrefix"),
    local=("ingress", "egress", "revokeRulesOnDelete", "namePrefix"),
    volatile=("ingress", "egress"),
    outputs=arn("security-group"),
    tags=tags("security-group"),
    on_create=_create_group,
    after_create=_first_rules,
    on_read=_read_group,
    on_update=_update_group,
    on_delete=_delete_group,
)


def _adopt_default(api: Api, inputs: Properties) -> str:
    filters = [{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [inputs["vpcId"]]}]
    found = api.call("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]
    if not found:
        raise ProviderError(f"the VPC {inputs['vpcId']} has no default security group")
    identity = str(found[0]["GroupId"])
    for name, direction in (("ingress", "Ingress"), ("egress", "Egress")):
        _set_rules(api, identity, direction, inputs.get(name) or [])
    if inputs.get("tagsAll"):
        api.call("ec2", "CreateTags", Resources=[identity], Tags=[{"Key": k, "Value": v} for k, v in sorted(inputs["tagsAll"].items())])
    return identity


DEFAULT_SECURITY_GROUP = ResourceType(
    token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    service="ec2",
    create=Call("DescribeSecurityGroups"),
    identity="SecurityGroups[0].GroupId",
    reads=(_READ,),
    replace=("vpcId",),
    computed=("vpcId",),
    local=("vpcId", "ingress", "egress", "revokeRulesOnDelete"),
    defaults={"revokeRulesOnDelete": False},
    outputs=arn("security-group"),
    tags=tags("security-group"),
    on_create=_adopt_default,
    on_read=_read_group,
    on_update=_update_group,
    on_delete=lambda api, identity, state: None,  # it lives and goes with its VPC
)

_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
_RULE_PROPERTIES = ("securityGroupId", "description", "ipProtocol", "fromPort", "toPort", *_SOURCES)


def _rule_permission(inputs: Properties) -> dict[str, Any]:
    """The only permission that a rule of its own has."""
    protocol = str(inputs["ipProtocol"]).lower()
    made: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1":
        made |= {
            member: int(inputs[name]) for member, name in (("FromPort", "fromPort"), ("ToPort", "toPort")) if inputs.get(name) is not None
        }
    detail = {"Description": inputs["description"]} if inputs.get("description") else {}
    if inputs.get("cidrIpv4"):
        return made | {"IpRanges": [{"CidrIp": inputs["cidrIpv4"], **detail}]}
    if inputs.get("cidrIpv6"):
        return made | {"Ipv6Ranges": [{"CidrIpv6": inputs["cidrIpv6"], **detail}]}
    if inputs.get("prefixListId"):
        return made | {"PrefixListIds": [{"PrefixListId": inputs["prefixListId"], **detail}]}
    if inputs.get("referencedSecurityGroupId"):
        owner, _, group = str(inputs["referencedSecurityGroupId"]).rpartition("/")
        return made | {"UserIdGroupPairs": [{"GroupId": group, **({"UserId": owner} if owner else {}), **detail}]}
    raise ProviderError(f"exactly one of {', '.join(_SOURCES)} is required")


def _check_rule(inputs: Properties, problems: Any) -> None:
    given = [name for name in _SOURCES if inputs.get(name) is not None]
    if len(given) != 1:
        problems.add("", f"exactly one of {', '.join(_SOURCES)} is required, found {', '.join(given) or 'none'}")


def _create_rule(direction: str) -> Any:
    def create(api: Api, inputs: Properties) -> str:
        params: dict[str, Any] = {"GroupId": inputs["securityGroupId"], "IpPermissions": [_rule_permission(inputs)]}
        if inputs.get("tagsAll"):
            pairs = [{"Key": k, "Value": v} for k, v in sorted(inputs["tagsAll"].items())]
            params["TagSpecifications"] = [{"ResourceType": "security-group-rule", "Tags": pairs}]
        answer = api.call("ec2", f"AuthorizeSecurityGroup{direction}", **params)
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    return create


def _read_rule(api: Api, identity: str, known: Properties) -> Properties | None:
    absent = ("InvalidSecurityGroupRuleId.NotFound", "InvalidSecurityGroupRuleId.Malformed", "InvalidGroup.NotFound")
    answer = api.try_call("ec2", "DescribeSecurityGroupRules", absent, SecurityGroupRuleIds=[identity])
    found = next((r for r in (answer or {}).get("SecurityGroupRules", []) if r["SecurityGroupRuleId"] == identity), None)
    if found is None:
        return None
    everything = found.get("IpProtocol") == "-1"
    referenced = found.get("ReferencedGroupInfo") or {}
    return {
        "securityGroupRuleId": identity,
        "securityGroupId": found["GroupId"],
        "description": found.get("Description"),
        "ipProtocol": found["IpProtocol"],
        "fromPort": None if everything else found.get("FromPort"),
        "toPort": None if everything else found.get("ToPort"),
        "cidrIpv4": found.get("CidrIpv4"),
        "cidrIpv6": found.get("CidrIpv6"),
        "prefixListId": found.get("PrefixListId"),
        "referencedSecurityGroupId": referenced.get("GroupId"),
        "tagsAll": {t["Key"]: t["Value"] for t in found.get("Tags", []) if not t["Key"].startswith("aws:")},
    }


def _update_rule(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    if not changed & set(_RULE_PROPERTIES):
        return
    permission = _rule_permission(new)
    rule: dict[str, Any] = {k: v for k, v in permission.items() if k in ("IpProtocol", "FromPort", "ToPort")}
    members = {"cidrIpv4": "CidrIpv4", "cidrIpv6": "CidrIpv6", "prefixListId": "PrefixListId"}
    rule |= {member: new[name] for name, member in members.items() if new.get(name)}
    if new.get("referencedSecurityGroupId"):
        rule["ReferencedGroupId"] = str(new["referencedSecurityGroupId"]).rpartition("/")[2]
    if new.get("description"):
        rule["Description"] = new["description"]
    api.call(
        "ec2",
        "ModifySecurityGroupRules",
        GroupId=new["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": identity, "SecurityGroupRule": rule}],
    )


def _delete_rule(direction: str) -> Any:
    def delete(api: Api, identity: str, state: Properties) -> None:
        try:
            api.call("ec2", f"RevokeSecurityGroup{direction}", GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identity])
        except AwsError as error:
            if error.code not in ("InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound"):
                raise

    return delete


def _rule(direction: str) -> ResourceType:
    return ResourceType(
        token=f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule",
        service="ec2",
        create=Call(f"AuthorizeSecurityGroup{direction}", {"GroupId": "$securityGroupId"}),
        identity="SecurityGroupRules[0].SecurityGroupRuleId",
        replace=("securityGroupId",),
        local=_RULE_PROPERTIES,
        outputs=arn("security-group-rule"),
        tags=tags("security-group-rule"),
        check=_check_rule,
        on_create=_create_rule(direction),
        on_read=_read_rule,
        on_update=_update_rule,
        on_delete=_delete_rule(direction),
    )


TYPES = (SECURITY_GROUP, DEFAULT_SECURITY_GROUP, _rule("Ingress"), _rule("Egress"))
