"""An environment of which almost everything is changed at once, and what each provider would do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local.provider.api import Settings
from local.provider.check import checked
from local.provider.diff import difference, top
from local.provider.operations import with_defaults
from local.provider.resources import TABLE
from tests.infra.rendering import Registered, Rendered
from tests.official.translation import Schema, field_name, substituted

UPDATE, REPLACE = "update", "replace"


@dataclass(frozen=True)
class Decision:
    """What a change means for a resource: nothing (""), an update or a replacement, and the official names of what forces that."""

    action: str
    forced_by: frozenset[str]


def settled(rendered: Rendered, value_of: Callable[[str, str, str], str]) -> Rendered:
    """With values instead of references to computed values, so that one resource's replacement changes no other."""
    made = [replace(each, inputs=substituted(each.inputs, value_of), dependencies=(), ignore_changes=()) for each in rendered.resources]
    return Rendered(made, rendered.outputs)


def other(value: str) -> str:
    """Another id or ARN of the same form."""
    return value[:-1] + ("a" if value[-1] != "a" else "b")


def reworded(resource: Registered) -> Registered:
    """With all that a person reads changed, and each switch at the top turned: what a new version of the program may do."""

    def changed(key: str, value: Any) -> Any:
        if isinstance(value, bool):
            return not value
        return f"{value} (changed)" if key.endswith(("escription", "displayName")) else value

    return replace(resource, inputs={key: changed(key, value) for key, value in resource.inputs.items()})


def official(plan: Mapping[str, Any]) -> dict[str, Decision]:
    """Logical name -> what the official provider would do."""
    made: dict[str, Decision] = {}
    for each in plan["resource_changes"]:
        change = each["change"]
        action = {"no-op": "", "update": UPDATE}.get(change["actions"][0], REPLACE)
        made[each["name"]] = Decision(action, frozenset(str(path[0]) for path in change.get("replace_paths", [])))
    return made


def ours(schema: Schema, before: Registered, after: Registered, old: Settings, new: Settings) -> Decision:
    """What the plugin of the rehearsal would do."""
    kind = TABLE[before.token]
    was, problems = checked(kind, before.name, {}, before.inputs, old, b"seed", None)
    assert not problems.found, (before.name, problems.found)
    wanted, problems = checked(kind, after.name, was, after.inputs, new, b"seed", None)
    assert not problems.found, (after.name, problems.found)
    found = difference(kind, {**with_defaults(kind, was), "region": old.region, "id": "id"}, was, wanted)
    type_ = schema.type_of(before.token)
    names, block = schema.names(), schema.resource(type_)
    forced = frozenset(field_name(names.get((type_, top(path))) or top(path), block) for path in found.replaces)
    return Decision(REPLACE if forced else UPDATE if found.changes else "", forced)
