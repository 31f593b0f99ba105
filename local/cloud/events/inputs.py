"""What a target gets of an event: all of it, a part, a constant, or a template filled from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLACE = re.compile(r"<([A-Za-z0-9_.-]+)>")


def path_value(path: str, event: Any) -> Any:
    """The value at a JSON path such as $.detail.name or $.resources[0]; None where there is none."""
    value = event
    for name, index in re.findall(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]", path.removeprefix("$")):
        if name:
            value = value.get(name) if isinstance(value, Mapping) else None
        else:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value


def text_of(value: Any) -> str:
    """A value as a pipeline parameter or a template holds it: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def body_for(target: Mapping[str, Any], event: Mapping[str, Any], rule_arn: str) -> str:
    """The text that a target receives."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(path_value(target["InputPath"], event))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {name: path_value(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= {"aws.events.rule-arn": rule_arn, "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1], "aws.events.event.json": dict(event)}
    return _filled(str(transformer["InputTemplate"]), values)


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """A string placed inside a quoted string stays bare; placed by itself in a JSON template it is quoted."""
    is_object = template.lstrip().startswith("{")

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0]
        held = values[found[1]]
        before = template[: found.start()]
        quoted = (before.count('"') - before.count('\\"')) % 2 == 1
        if isinstance(held, str) and (quoted or not is_object):
            return json.dumps(held)[1:-1] if quoted else held
        return json.dumps(held)

    return _PLACE.sub(value, template)
