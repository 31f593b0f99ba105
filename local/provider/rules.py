"""Rules for inputs that botocore's models do not state and the official plugin checks before it asks AWS."""

from __future__ import annotations

import ipaddress
import json
import re

from local.provider.resource import Properties
from local.provider.shapes import Problems

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def bucket_name(inputs: Properties, problems: Problems) -> None:
    """A bucket's name (S3 user guide, "General purpose bucket naming rules")."""
    name = inputs.get("bucket")
    if not isinstance(name, str):
        return
    if not _BUCKET.fullmatch(name) or ".." in name or re.fullmatch(r"\d+(\.\d+){3}", name):
        problems.add("bucket", f"expected 3 to 63 lower case letters, digits, dots and hyphens, found {name!r}")


def address_range(inputs: Properties, problems: Problems) -> None:
    """The range of a VPC or a subnet: a network address of 16 to 28 bits (VPC user guide, "VPC sizing for IPv4")."""
    text = inputs.get("cidrBlock")
    if not isinstance(text, str):
        return
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        problems.add("cidrBlock", f"{text!r} is not a valid CIDR block: {error}")
        return
    if not 16 <= network.prefixlen <= 28:
        problems.add("cidrBlock", f"expected a prefix length between 16 and 28, found {network.prefixlen}")


def json_document(name: str, value: object, problems: Problems) -> None:
    """A policy or definition must at least be JSON."""
    if not isinstance(value, str) or not value:
        return
    try:
        json.loads(value)
    except ValueError as error:
        problems.add(name, f"contains an invalid JSON document: {error}")
