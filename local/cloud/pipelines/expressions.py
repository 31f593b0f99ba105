"""The expressions of a pipeline definition: finding what they refer to, and their values while an execution runs.

{"Get": "Parameters.X"}  {"Get": "Execution.V"}  {"Get": "Steps.S.<path in the answer of Describe>"}
{"Std:Join": {"On": "/", "Values": [...]}}
{"Std:JsonGet": {"PropertyFile": {"Get": "Steps.S.PropertyFiles.F"}, "Path": "a.b[0]"}}  or  {"S3Uri": ..., "Path": ...}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

EXECUTION_VARIABLES = frozenset(
    {"StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn"}
    | {"TrainingJobName", "ProcessingJobName"}
)
TOKEN = re.compile(r"\.?(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]|\[['\"](?P<key>[^'\"]*)['\"]\]")


class BadReference(Exception):
    """An expression that can't be right, whatever its values."""


class Unresolved(Exception):
    """An expression that has no value in this execution."""


@dataclass(frozen=True)
class Reference:
    """What a Get names: `root` is Parameters, Execution or Steps; `path` what follows the name."""

    root: str
    name: str
    path: str

    @property
    def property_file(self) -> str | None:
        parts = self.path.removeprefix(".").split(".", 1)
        return parts[1] if self.root == "Steps" and len(parts) == 2 and parts[0] == "PropertyFiles" else None

    @classmethod
    def parse(cls, text: Any) -> Reference:
        match = re.fullmatch(
            r"(?P<root>Parameters|Execution|Steps)\.(?P<name>[A-Za-z0-9\-_]+)(?P<path>[.\[].*)?", text if isinstance(text, str) else ""
        )
        if match is None:
            raise BadReference(f"{text!r} is no reference")
        reference = cls(match["root"], match["name"], match["path"] or "")
        if reference.root == "Execution" and reference.name not in EXECUTION_VARIABLES:
            raise BadReference(f"there is no execution variable {reference.name}")
        return reference


class Scope(Protocol):
    """The values that an execution has to offer."""

    def parameter(self, name: str) -> Any: ...
    def variable(self, name: str) -> Any: ...
    def step_properties(self, name: str) -> Mapping[str, Any]: ...
    def property_file_uri(self, step: str, name: str) -> str: ...
    def read_json(self, uri: str) -> Any: ...


def references(value: Any) -> Iterator[Reference]:
    """Every reference in a tree of arguments; BadReference for a malformed one."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        if set(value) == {"Get"}:
            yield Reference.parse(value["Get"])
            return
        if set(value) == {"Std:Join"} and not (isinstance(value["Std:Join"], dict) and isinstance(value["Std:Join"].get("Values"), list)):
            raise BadReference("Std:Join needs a list of Values")
        if set(value) == {"Std:JsonGet"}:
            inner = value["Std:JsonGet"]
            if not isinstance(inner, dict) or ("PropertyFile" in inner) == ("S3Uri" in inner) or not isinstance(inner.get("Path"), str):
                raise BadReference("Std:JsonGet needs a Path and either a PropertyFile or an S3Uri")
        for item in value.values():
            yield from references(item)


def resolve(value: Any, scope: Scope) -> Any:
    """A tree of arguments with every expression replaced by its value."""
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Get"}:
        return _get(Reference.parse(value["Get"]), scope)
    if set(value) == {"Std:Join"}:
        inner = value["Std:Join"]
        return str(inner.get("On", "")).join(to_string(resolve(item, scope)) for item in inner["Values"])
    if set(value) == {"Std:JsonGet"}:
        return _json_get(value["Std:JsonGet"], scope)
    return {name: resolve(item, scope) for name, item in value.items()}


def to_string(value: Any) -> str:
    """A value as Std:Join writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return json.dumps(value)


def look_up(value: Any, path: str) -> Any:
    """What `path` (a.b[0]['key']) leads to; Unresolved where nothing is there.

    In a list, a key picks the item whose name it is: Outputs['train'] is the output whose OutputName is train.
    """
    position = 0
    while position < len(path):
        match = TOKEN.match(path, position)
        if match is None:
            raise Unresolved(f"the path {path!r} can't be read at {path[position:]!r}")
        position = match.end()
        key = match["name"] if match["name"] is not None else match["key"]
        try:
            if match["index"] is not None:
                value = value[int(match["index"])]
            elif isinstance(value, list):
                value = next(item for item in value if isinstance(item, dict) and key in _names(item))
            else:
                value = value[key]
        except (KeyError, IndexError, TypeError, StopIteration) as error:
            raise Unresolved(f"the path {path!r} leads to nothing") from error
    return value


def _names(item: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in item.items() if name.endswith("Name")]


def _get(reference: Reference, scope: Scope) -> Any:
    if reference.root == "Parameters":
        return scope.parameter(reference.name)
    if reference.root == "Execution":
        return scope.variable(reference.name)
    try:
        return look_up(scope.step_properties(reference.name), reference.path)
    except Unresolved as error:
        raise Unresolved(f"Steps.{reference.name}{reference.path}: {error}") from error


def _json_get(inner: Mapping[str, Any], scope: Scope) -> Any:
    if "S3Uri" in inner:
        uri = resolve(inner["S3Uri"], scope)
    else:
        raw = inner["PropertyFile"]
        reference = Reference.parse(raw["Get"] if isinstance(raw, dict) else raw)
        if reference.property_file is None:
            raise Unresolved(f"Steps.{reference.name}{reference.path} is no property file")
        uri = scope.property_file_uri(reference.name, reference.property_file)
    try:
        return look_up(scope.read_json(uri), inner["Path"].removeprefix("$").removeprefix("."))
    except Unresolved as error:
        raise Unresolved(f"{uri}: {error}") from error
