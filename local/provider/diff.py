"""What a change of inputs means for a resource: nothing, an update in place, a replacement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.provider.compare import Comparison, empty
from local.provider.operations import with_defaults
from local.provider.resource import Properties, ResourceType
from local.provider.schema import type_schema


@dataclass
class Difference:
    """The property paths that differ, each with `add`, `update` or `delete`, and those of them that force a replacement."""

    changes: dict[str, str] = field(default_factory=dict)
    replaces: list[str] = field(default_factory=list)
    delete_first: bool = False

    @property
    def properties(self) -> set[str]:
        """The top-level properties that differ."""
        return {top(path) for path in self.changes}


def top(path: str) -> str:
    """The top-level property of a path."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def difference(
    kind: ResourceType, state: Mapping[str, Any], prior: Mapping[str, Any], inputs: Properties, ignored: Iterable[str] = ()
) -> Difference:
    """Compares a resource's state with what the program wants; `prior` are the inputs of the last deployment."""
    schema = type_schema(kind.token)
    comparison = Comparison(kind.documents, kind.ordered)
    wanted = with_defaults(kind, inputs)
    made = Difference()
    skipped = {top(path) for path in ignored if path == top(path)}
    for name in sorted(kind.managed()):
        if name in skipped or (name in kind.computed and empty(wanted.get(name)) and not (empty(prior.get(name)) or _list(wanted, name))):
            continue
        type_ = schema.inputs.get(name, schema.outputs.get(name, "any"))
        for path, change in comparison.changes(type_, state.get(name), prior.get(name), wanted.get(name), name):
            if not any(_within(path, pattern) for pattern in ignored):
                made.changes[path] = change
    forced = set(kind.replace) | {"region"}
    if kind.must_replace:
        forced |= kind.must_replace({**state}, wanted, made.properties)
    made.replaces = [path for path in made.changes if any(_within(_bare(path), f) or _within(f, _bare(path)) for f in forced)]
    if made.replaces:
        made.delete_first = kind.delete_before_replace or _name_stays(kind, state, inputs, made)
    return made


def _list(values: Mapping[str, Any], name: str) -> bool:
    return name in values and values[name] == []


def _bare(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _within(path: str, pattern: str) -> bool:
    return path == pattern or path.startswith((f"{pattern}.", f"{pattern}["))


def _name_stays(kind: ResourceType, state: Mapping[str, Any], inputs: Properties, made: Difference) -> bool:
    """Whether the replacement would have the name of the one that it replaces: then the old one goes first."""
    if kind.name is None or kind.name.property in inputs.get("__defaults", []):
        return False
    return kind.name.property not in made.properties and inputs.get(kind.name.property) == state.get(kind.name.property)
