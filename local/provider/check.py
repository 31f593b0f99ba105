"""Inputs before they are planned: known, of the right type, complete, and what AWS's own model allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.provider.api import Settings
from local.provider.naming import unique
from local.provider.operations import validate
from local.provider.resource import Properties, ResourceType
from local.provider.rules import json_document
from local.provider.schema import type_schema
from local.provider.shapes import Problems, check_type, suggestion
from local.provider.tags import merged
from local.provider.wire import UNKNOWN, contains_unknown


def checked(
    kind: ResourceType, logical: str, old: Mapping[str, Any], new: Properties, settings: Settings, seed: bytes, proposed: str | None
) -> tuple[Properties, Problems]:
    """The inputs to plan with (names and all tags filled in) and what is wrong with them."""
    problems = Problems()
    schema = type_schema(kind.token)
    inputs = {k: v for k, v in new.items() if k != "__defaults"}
    managed = kind.managed()
    for name in kind.documents:
        if isinstance(inputs.get(name), (Mapping, list)) and not contains_unknown(inputs[name]):
            inputs[name] = json.dumps(inputs[name])
        json_document(name, inputs.get(name), problems)
    for name, value in inputs.items():
        if name not in schema.inputs and name != "tagsAll":
            problems.add(name, f"is not a known property of {kind.token}{suggestion(name, schema.inputs)}")
        elif name not in managed:
            problems.add(name, f"is not supported by the local aws plugin for {kind.token}")
        else:
            check_type(value, schema.inputs.get(name, "any"), name, problems)
    made: list[str] = []
    if kind.name and not inputs.get(kind.name.property):
        inputs[kind.name.property] = _name(kind, logical, old, inputs, seed, proposed)
        made.append(kind.name.property)
    for name in sorted(schema.required):
        if inputs.get(name) is None:
            problems.add(name, "is required and missing")
    if kind.tags:
        tags = inputs.get("tags")
        inputs["tagsAll"] = UNKNOWN if tags is UNKNOWN else merged(settings, tags)
    if kind.check:
        kind.check(inputs, problems)
    if not problems.found:
        validate(kind, inputs, problems)
    inputs["__defaults"] = made
    return inputs, problems


def _name(kind: ResourceType, logical: str, old: Mapping[str, Any], inputs: Properties, seed: bytes, proposed: str | None) -> Any:
    rule = kind.name
    assert rule is not None
    if rule.property in old.get("__defaults", []) and old.get(rule.property):
        prefix = inputs.get(rule.prefix) if rule.prefix else None
        if prefix is None or prefix is UNKNOWN or str(old[rule.property]).startswith(str(prefix)):
            return old[rule.property]
    if proposed:
        return proposed
    prefix = inputs.get(rule.prefix) if rule.prefix else None
    if prefix is UNKNOWN:
        return UNKNOWN
    return unique(rule, logical, seed, prefix=str(prefix) if prefix else None)
