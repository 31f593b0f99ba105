"""Between the SDK's properties and botocore's shapes: names, conversion both ways, validation.

A property meets the member whose name is the same but for case, or for the plural that the SDK gives to lists.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.model import Shape

from local.provider.schema import object_schema
from local.provider.wire import UNKNOWN, Asset, contains_unknown

_NUMBERS = {"integer", "long", "float", "double"}


@dataclass
class Problems:
    """What is wrong with some inputs: (property path, reason)."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, reason: str) -> None:
        if (path, reason) not in self.found:
            self.found.append((path, reason))


def key_of(name: str) -> str:
    """What a property's and a member's name have in common."""
    plain = name.replace("_", "").replace("-", "").lower()
    return plain[:-1] if plain.endswith("s") and not plain.endswith("ss") else plain


def member_of(shape: Shape, name: str) -> str | None:
    """The member of a structure that a property's name stands for."""
    members: Mapping[str, Shape] = shape.members
    if name in members:
        return name
    exact = name.lower()
    for member in members:
        if member.lower() == exact:
            return str(member)
    key = key_of(name)
    return next((str(member) for member in members if key_of(member) == key), None)


def to_aws(value: Any, shape: Shape, path: str, problems: Problems) -> Any:
    """A property's value as the shape wants it. Adds what the shape forbids to `problems`; unknown parts pass."""
    if value is UNKNOWN or value is None:
        return value
    kind = shape.type_name
    if kind == "structure":
        return _structure(value, shape, path, problems)
    if kind == "list":
        values = value if isinstance(value, (list, tuple)) else [value]
        _length(len(values), shape, path, problems, "items")
        return [to_aws(v, shape.member, f"{path}[{i}]", problems) for i, v in enumerate(values)]
    if kind == "map":
        if not isinstance(value, Mapping):
            problems.add(path, "expected a map")
            return value
        for name in value:
            to_aws(name, shape.key, f"{path}.{name}", problems)
        return {str(k): to_aws(v, shape.value, f"{path}.{k}", problems) for k, v in value.items()}
    return _scalar(value, shape, path, problems)


def _structure(value: Any, shape: Shape, path: str, problems: Problems) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, Mapping):
        problems.add(path, "expected an object")
        return value
    made: dict[str, Any] = {}
    for name, inner in value.items():
        if inner is None or name == "__defaults":
            continue
        member = member_of(shape, name)
        if member is None:
            problems.add(f"{path}.{name}", "is not supported by the local aws plugin")
        else:
            made[member] = to_aws(inner, shape.members[member], f"{path}.{name}", problems)
    for member in shape.required_members:
        if member not in made:
            problems.add(path, f"lacks the required {member[0].lower()}{member[1:]}")
    return made


def _scalar(value: Any, shape: Shape, path: str, problems: Problems) -> Any:
    kind = shape.type_name
    if kind == "string":
        text = _text(value)
        check_text(text, shape, path, problems)
        return text
    if kind in _NUMBERS:
        try:
            number = float(value) if kind in ("float", "double") else int(value)
        except (TypeError, ValueError):
            problems.add(path, f"expected a number, found {value!r}")
            return value
        _length(number, shape, path, problems, "")
        return number
    if kind == "boolean":
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            problems.add(path, f"expected true or false, found {value!r}")
        return value
    if kind == "blob":
        return value.read() if isinstance(value, Asset) else str(value).encode()
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text.replace("\\p{Alnum}", "[A-Za-z0-9]").replace("\\p{ASCII}", "[\\x00-\\x7f]"))
    except re.error:  # Java's classes such as \p{L} have no twin here
        return None


def check_text(text: str, shape: Shape, path: str, problems: Problems) -> None:
    """Checks a string against the shape's enum, pattern and length."""
    if getattr(shape, "enum", None) and text not in shape.enum:
        problems.add(path, f"expected one of {', '.join(shape.enum)}, found {text!r}")
        return
    pattern = _pattern(shape.metadata["pattern"]) if "pattern" in shape.metadata else None
    if pattern is not None and not pattern.fullmatch(text):
        problems.add(path, f"{text!r} does not match the pattern {shape.metadata['pattern']}")
    _length(len(text), shape, path, problems, "characters")


def _length(size: float, shape: Shape, path: str, problems: Problems, unit: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    what = f" {unit}" if unit else ""
    if least is not None and size < float(least):
        problems.add(path, f"expected at least {least}{what}, found {size}")
    if most is not None and size > float(most):
        problems.add(path, f"expected at most {most}{what}, found {size}")


def from_aws(value: Any, kind: str) -> Any:
    """A described value as the SDK's type `kind` (see `schema`) wants it; None where AWS has nothing."""
    if value is None:
        return None
    if kind.startswith("@"):
        if isinstance(value, list):
            value = value[0] if value else None
        return _object(value, kind) if isinstance(value, Mapping) else None
    if kind.startswith("["):
        values = value if isinstance(value, list) else [value]
        return [from_aws(v, kind[1:-1]) for v in values]
    if kind.startswith("{"):
        return {str(k): from_aws(v, kind[1:-1]) for k, v in value.items()} if isinstance(value, Mapping) else None
    return _plain(value, kind)


def _object(value: Mapping[str, Any], kind: str) -> dict[str, Any]:
    members = {key_of(k): v for k, v in value.items()}
    exact = {k.lower(): v for k, v in value.items()}
    made: dict[str, Any] = {}
    for name, inner in object_schema(kind).properties.items():
        found = exact.get(name.lower(), members.get(key_of(name)))
        converted = from_aws(found, inner)
        if converted is not None:
            made[name] = converted
    return made


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if kind == "string":
        return json.dumps(value, sort_keys=True, separators=(",", ":")) if isinstance(value, (Mapping, list)) else _text(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if kind in ("integer", "number") and isinstance(value, str):
        return float(value) if "." in value else int(value)
    return value


def check_type(value: Any, kind: str, path: str, problems: Problems) -> None:
    """Checks a value against the SDK's type: shapes of containers, unknown and missing names of nested objects."""
    if value is None or value is UNKNOWN or kind == "any":
        return
    if kind.startswith("@"):
        schema = object_schema(kind)
        if not isinstance(value, Mapping):
            problems.add(path, f"expected an object, found {_name(value)}")
            return
        for name, inner in value.items():
            if name in schema.properties:
                check_type(inner, schema.properties[name], f"{path}.{name}", problems)
            elif name != "__defaults":
                problems.add(f"{path}.{name}", f"is not a known property{suggestion(name, schema.properties)}")
        for name in sorted(schema.required):
            if value.get(name) is None:
                problems.add(f"{path}.{name}", "is required and missing")
    elif kind.startswith("["):
        if not isinstance(value, list):
            problems.add(path, f"expected a list, found {_name(value)}")
            return
        for index, inner in enumerate(value):
            check_type(inner, kind[1:-1], f"{path}[{index}]", problems)
    elif kind.startswith("{"):
        if not isinstance(value, Mapping):
            problems.add(path, f"expected a map, found {_name(value)}")
            return
        for name, inner in value.items():
            check_type(inner, kind[1:-1], f"{path}.{name}", problems)
    elif not _fits(value, kind):
        problems.add(path, f"expected a {kind}, found {_name(value)} {value!r}" if not contains_unknown(value) else f"expected a {kind}")


def _fits(value: Any, kind: str) -> bool:
    """The bridge is lenient between scalars as long as the text says the same."""
    if kind == "asset":
        return isinstance(value, Asset)
    if isinstance(value, (Mapping, list, Asset)):
        return False
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind in ("integer", "number") and not isinstance(value, bool):
        try:
            return float(value).is_integer() or kind == "number"
        except ValueError:
            return False
    return kind == "string"


def _name(value: Any) -> str:
    names = {Asset: "an asset", dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def suggestion(name: str, known: Mapping[str, Any]) -> str:
    """Text to follow an unknown name: the nearest known one."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a value with its property path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from walk(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, f"{path}[{index}]")
    else:
        yield path, value
