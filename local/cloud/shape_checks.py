"""Server-side validation of a request against botocore's model, in the words that AWS services answer with.

boto3 itself checks only what is required, types and minima; maxima, enums and patterns are the service's to refuse.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import OperationModel, Shape
from moto.core.utils import get_service_model


@functools.cache
def operation_model(service: str, operation: str) -> OperationModel:
    """The model of an operation, for example ("sagemaker", "UpdateEndpoint")."""
    return get_service_model(service).operation_model(operation)


def violations(service: str, operation: str, params: Mapping[str, Any]) -> list[str]:
    """What is wrong with the parameters of a request, in the model's order; empty when nothing is."""
    shape = operation_model(service, operation).input_shape
    return list(_check(shape, dict(params), "")) if shape is not None else []


def message(found: list[str]) -> str:
    """The text of a ValidationException that carries the violations."""
    return f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {'; '.join(found)}"


_CONTAINERS: dict[str, type | tuple[type, ...]] = {"list": (list, tuple), "map": Mapping}


def _check(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        yield from _check_structure(shape, value, path)
    elif kind in _CONTAINERS and not isinstance(value, _CONTAINERS[kind]):
        yield f"Value '{_show(value)}' at '{path}' failed to satisfy constraint: Member must be a {kind}"
    elif kind == "list":
        yield from _check_length(shape, value, path)
        for index, item in enumerate(value, 1):
            yield from _check(shape.member, item, f"{path}.{index}.member")  # type: ignore[attr-defined]
    elif kind == "map":
        yield from _check_length(shape, value, path)
        for key, item in value.items():
            yield from _check(shape.value, item, f"{path}.{key}.member")  # type: ignore[attr-defined]
    elif kind == "string":
        yield from _check_string(shape, value, path)
    elif kind in ("integer", "long", "float", "double"):
        yield from _check_number(shape, value, path)


def _check_structure(shape: Shape, value: Any, path: str) -> Iterator[str]:
    required = shape.metadata.get("required", [])
    for name, member in shape.members.items():  # type: ignore[attr-defined]
        place = f"{path}.{_lower(name)}" if path else _lower(name)
        given = value.get(name) if isinstance(value, Mapping) else None
        if given is None:
            if name in required:
                yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"
            continue
        yield from _check(member, given, place)


def _check_length(shape: Shape, value: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield f"Value '{_show(value)}' at '{path}' failed to satisfy constraint: Member must have length greater than or equal to {low}"
    if high is not None and len(value) > high:
        yield f"Value '{_show(value)}' at '{path}' failed to satisfy constraint: Member must have length less than or equal to {high}"


def _check_string(shape: Shape, value: Any, path: str) -> Iterator[str]:
    text = str(value)
    enum = getattr(shape, "enum", [])
    if enum and text not in enum:
        yield f"Value '{text}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(enum)}]"
        return
    yield from _check_length(shape, text, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, text):
        yield f"Value '{text}' at '{path}' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}"


def _check_number(shape: Shape, value: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low, high) != (None, None) and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield f"Value '{_show(value)}' at '{path}' failed to satisfy constraint: Member must be a number"
        return
    if low is not None and value < low:
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value greater than or equal to {low}"
    if high is not None and value > high:
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value less than or equal to {high}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern, or None for one in a dialect that Python does not read (the models are written for Java)."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _matches(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(text) is not None


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _show(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={_show(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_show(v) for v in value) + "]"
    return str(value)
