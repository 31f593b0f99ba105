"""What our plugin reads of resources that the official provider made, beside what the official one read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local.provider.operations import with_defaults
from local.provider.resources import TABLE
from tests.infra.rendering import Registered, Rendered
from tests.official.differences import LEFT_OUT
from tests.official.translation import Schema, Translation
from tests.provider.door import Door


def differences(schema: Schema, door: Door, rendered: Rendered, state: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each attribute that differs. `rendered` has values for references, `state` holds the official one's attributes by logical name."""
    return [line for each in rendered.aws for line in _of(schema, door, each, state[each.name])]


def _of(schema: Schema, door: Door, resource: Registered, theirs: Mapping[str, Any]) -> list[str]:
    type_ = schema.type_of(resource.token)
    inputs = door.check(door.held(resource.token, resource.name), resource.inputs)
    known = {**with_defaults(TABLE[resource.token], inputs), "id": theirs["id"]}
    found = door.refresh(replace(door.held(resource.token, resource.name), identity=theirs["id"], inputs=inputs, state=known))
    if found is None:
        return [f"{resource.name}: our plugin does not find {theirs['id']}"]
    mine = Translation(schema).outputs(type_, found.state)
    names = sorted(name for name in {*theirs, *mine} if (type_, name) not in LEFT_OUT and _form(theirs.get(name)) != _form(mine.get(name)))
    lines = [f"{resource.name}, {type_}.{name}: official {theirs.get(name)!r}, ours {mine.get(name)!r}" for name in names]
    planned = door.preview(found, resource.inputs)
    return lines if planned.empty else [*lines, f"{resource.name}: our plugin would change {planned.changes}"]


def _form(value: Any) -> Any:
    """A form under which equal values are equal: no order, no numbers as text, nothing that says no more than its absence."""
    if isinstance(value, Mapping):
        made = {key: _form(each) for key, each in value.items()}
        return {key: each for key, each in made.items() if each is not None} or None
    if isinstance(value, (list, tuple)):
        return sorted((_form(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True)) or None
    if isinstance(value, str) and value[:1] in ("{", "["):
        return _form(json.loads(value))
    return value or None
