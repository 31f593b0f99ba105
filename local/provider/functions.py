"""The functions (data sources) that programs most often call, by token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from local.provider.api import Api
from local.provider.resource import Properties


def caller_identity(api: Api, args: Properties) -> Properties:
    """`aws.get_caller_identity`"""
    answer = api.call("sts", "GetCallerIdentity")
    return {"accountId": answer["Account"], "arn": answer["Arn"], "userId": answer["UserId"], "id": answer["Account"]}


def region(api: Api, args: Properties) -> Properties:
    """`aws.get_region`"""
    named = args.get("region") or args.get("name") or api.region
    return {
        "id": named, "name": named, "region": named, "description": named,
        "endpoint": f"ec2.{named}.{api.dns_suffix}",
    }  # fmt: skip


def partition(api: Api, args: Properties) -> Properties:
    """`aws.get_partition`"""
    reverse = ".".join(reversed(api.dns_suffix.split(".")))
    return {"id": api.partition, "partition": api.partition, "dnsSuffix": api.dns_suffix, "reverseDnsPrefix": reverse}


def availability_zones(api: Api, args: Properties) -> Properties:
    """`aws.get_availability_zones`"""
    params: dict[str, Any] = {}
    filters = [{"Name": f["name"], "Values": f["values"]} for f in args.get("filters", [])]
    if args.get("state"):
        filters.append({"Name": "state", "Values": [args["state"]]})
    if filters:
        params["Filters"] = filters
    found = api.call("ec2", "DescribeAvailabilityZones", **params)["AvailabilityZones"]
    out = set(args.get("excludeNames", []))
    zones = sorted((z for z in found if z["ZoneName"] not in out and z["ZoneId"] not in args.get("excludeZoneIds", [])),
                   key=lambda z: z["ZoneName"])  # fmt: skip
    return {
        **args,
        "id": api.region,
        "region": api.region,
        "names": [z["ZoneName"] for z in zones],
        "zoneIds": [z["ZoneId"] for z in zones],
        "groupNames": sorted({z.get("GroupName", api.region) for z in zones}),
    }


def _one_or_all(values: Any) -> Any:
    ordered = sorted(values, reverse=True) if isinstance(values, list) else values
    return ordered[0] if isinstance(ordered, list) and len(ordered) == 1 else ordered


def _principals(blocks: list[Mapping[str, Any]]) -> Any:
    if any(b["type"] == "*" for b in blocks):
        return "*"
    return {b["type"]: _one_or_all(b["identifiers"]) for b in blocks}


def policy_document(api: Api, args: Properties) -> Properties:
    """`aws.iam.get_policy_document`"""
    statements = []
    for block in args.get("statements", []):
        made: dict[str, Any] = {}
        if block.get("sid"):
            made["Sid"] = block["sid"]
        made["Effect"] = block.get("effect", "Allow")
        for name, member in (
            ("actions", "Action"),
            ("notActions", "NotAction"),
            ("resources", "Resource"),
            ("notResources", "NotResource"),
        ):
            if block.get(name):
                made[member] = _one_or_all(block[name])
        for name, member in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
            if block.get(name):
                made[member] = _principals(block[name])
        for condition in block.get("conditions", []):
            keys = made.setdefault("Condition", {}).setdefault(condition["test"], {})
            keys[condition["variable"]] = _one_or_all(condition["values"])
        statements.append(made)
    document: dict[str, Any] = {"Version": args.get("version", "2012-10-17")}
    if args.get("policyId"):
        document["Id"] = args["policyId"]
    document["Statement"] = statements
    compact = json.dumps(document, separators=(",", ":"))
    return {**args, "id": str(abs(hash(compact))), "json": json.dumps(document, indent=2), "minifiedJson": compact}


FUNCTIONS: dict[str, Callable[[Api, Properties], Properties]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getRegion:getRegion": region,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
}
