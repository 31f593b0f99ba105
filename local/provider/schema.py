"""What the `pulumi_aws` SDK says of each type: its properties, their types, which of them are required.

The facts are read from the SDK's source by `python -m local.provider.schema` and kept in `schema.json`, so that the plugin
needs no SDK when it runs. Types are written briefly: `string`, `boolean`, `integer`, `number`, `any`, `asset`, `[T]` for a list,
`{T}` for a map, `@module/Name` for an object that `objects` describes.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("schema.json")
_SCALARS = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "Any": "any", "Asset": "asset", "Archive": "asset"}


@dataclass(frozen=True)
class TypeSchema:
    """One resource type: name of a property (as on the wire) -> type."""

    token: str
    inputs: dict[str, str]
    required: frozenset[str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class ObjectSchema:
    """A nested object of some property."""

    properties: dict[str, str]
    required: frozenset[str]


@cache
def _document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILE.read_text())
    return loaded


@cache
def type_schema(token: str) -> TypeSchema:
    """The schema of a supported type token. Raises KeyError for any other."""
    found = _document()["types"][token]
    return TypeSchema(token, found["inputs"], frozenset(found["required"]), found["outputs"])


@cache
def object_schema(reference: str) -> ObjectSchema:
    """The object behind a type such as `@ec2/SecurityGroupIngress`."""
    found = _document()["objects"][reference.removeprefix("@")]
    return ObjectSchema(found["properties"], frozenset(found["required"]))


def _sdk() -> Path:
    spec = importlib.util.find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise RuntimeError("the SDK pulumi_aws is not installed, and the schema is made from it")
    return Path(spec.origin).parent


@cache
def _module(path: Path) -> dict[str, ast.ClassDef]:
    tree = ast.parse(path.read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _arguments(node: ast.ClassDef) -> ast.arguments:
    return next(item.args for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")


def _wire_names(node: ast.ClassDef) -> dict[str, str]:
    """Python attribute -> name on the wire, from the `pulumi.getter` decorators."""
    names: dict[str, str] = {}
    for item in node.body:
        if not isinstance(item, ast.FunctionDef):
            continue
        for decorator in item.decorator_list:
            text = ast.unparse(decorator)
            if text.startswith("pulumi.getter"):
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                given = next((k.value.value for k in keywords if k.arg == "name" and isinstance(k.value, ast.Constant)), item.name)
                names[item.name] = str(given)
    return names


class _Reader:
    """Follows one SDK module's annotations, collecting the nested objects on its way."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self.objects = objects

    def kind(self, annotation: ast.expr, module: str) -> str:
        match annotation:
            case ast.Constant(value=str(name)):
                return self._object(name.rsplit(".", 1)[-1], module)
            case ast.Attribute(attr=name) | ast.Name(id=name):
                return _SCALARS.get(name, "any") if not name.endswith("Args") else self._object(name, module)
            case ast.Subscript(value=outer, slice=inner):
                name = ast.unparse(outer).rsplit(".", 1)[-1]
                if name in ("Input", "Optional", "Output"):
                    return self.kind(inner, module)
                if name == "Sequence":
                    return f"[{self.kind(inner, module)}]"
                if name == "Mapping" and isinstance(inner, ast.Tuple):
                    return "{" + self.kind(inner.elts[1], module) + "}"
                if name == "Union" and isinstance(inner, ast.Tuple):
                    return self.kind(inner.elts[0], module)
        return "any"

    def _object(self, name: str, module: str) -> str:
        bare = name.removesuffix("Args")
        reference = f"{module}/{bare}"
        if reference not in self.objects:
            node = _module(_sdk() / module / "_inputs.py").get(f"{bare}Args")
            if node is None:  # an object that only outputs have
                return "any"
            self.objects[reference] = {}
            self.objects[reference] = self._properties(node, module)
        return f"@{reference}"

    def _properties(self, node: ast.ClassDef, module: str) -> dict[str, Any]:
        arguments, names = _arguments(node), _wire_names(node)
        found: dict[str, str] = {}
        required: list[str] = []
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            name = names.get(argument.arg, argument.arg)
            assert argument.annotation is not None
            found[name] = self.kind(argument.annotation, module)
            if default is None:
                required.append(name)
        return {"properties": dict(sorted(found.items())), "required": sorted(required)}

    def type(self, token: str) -> dict[str, Any]:
        _, module, name = token.split(":")
        folder, file = module.split("/")
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in file).lstrip("_")
        path = _sdk() / folder / f"{snake}.py"
        if not path.exists():
            path = next(p for p in (_sdk() / folder).glob("*.py") if p.stem.replace("_", "") == file.lower())
        classes = _module(path)
        arguments = classes.get(f"{name}Args") or classes[f"{name}InitArgs"]  # Init where a nested object has the name already
        inputs = self._properties(arguments, folder)
        outputs: dict[str, str] = {}
        wire = _wire_names(classes[name])
        for item in classes[name].body:
            if isinstance(item, ast.FunctionDef) and item.name in wire and item.returns is not None:
                outputs[wire[item.name]] = self.kind(item.returns, folder)
        return {"inputs": inputs["properties"], "required": inputs["required"], "outputs": dict(sorted(outputs.items()))}


def build(tokens: Iterable[str]) -> str:
    """The text of `schema.json` for these type tokens, from the installed SDK."""
    objects: dict[str, dict[str, Any]] = {}
    reader = _Reader(objects)
    types = {token: reader.type(token) for token in sorted(tokens)}
    lines = ["{", '"types": {']
    lines.append(",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in types.items()))
    lines += ["},", '"objects": {']
    lines.append(",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(objects.items())))
    return "\n".join([*lines, "}", "}", ""])


if __name__ == "__main__":
    from local.provider.resources import TABLE

    FILE.write_text(build(TABLE))
