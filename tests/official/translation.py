"""What the program registers, in the words of the official provider: one Terraform configuration for an environment.

Pulumi's AWS provider is a bridge of Terraform's. It turns `snake_case` into `camelCase`, a list's name into its plural, and a list of
at most one element into that element. The official provider's own schema says where each of these happened, and so undoes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.mocks import MockResourceArgs

from tests.infra.rendering import Answers, Registered, Rendered
from tests.official.differences import RENAMED, TYPE_NAMES, VERSION_5

PROVIDER_TOKEN = "pulumi:providers:aws"

# A computed value of another resource, in a shape that the program can take for an ARN or an id.
_REFERENCE = re.compile(r"(?:arn:aws:ref:us-east-1:000000000000:)?ref-(?P<type>\w+)\.(?P<name>[\w-]+?)\.(?P<attribute>\w+)-fer")


class NotInTheSchema(Exception):
    """An input that the official provider does not know."""


@dataclass(frozen=True)
class Schema:
    """`terraform providers schema -json`, as far as it is about the AWS provider, and that provider's version."""

    document: Mapping[str, Any]
    version: str

    @property
    def provider(self) -> Mapping[str, Any]:
        block: Mapping[str, Any] = self.document["provider"]["block"]
        return block

    def resource(self, type_: str) -> Mapping[str, Any]:
        block: Mapping[str, Any] = self.document["resource_schemas"][type_]["block"]
        return block

    def type_of(self, token: str) -> str:
        """The official name of a type token such as `aws:ec2/vpc:Vpc`. Raises NotInTheSchema."""
        _, module, _ = token.split(":")
        group, name = (snake(part) for part in module.split("/"))
        for candidate in (TYPE_NAMES.get(token, ""), f"aws_{group}_{name}", f"aws_{name}"):
            if candidate in self.document["resource_schemas"]:
                return candidate
        raise NotInTheSchema(f"{token}: the official provider has no such type, or TYPE_NAMES in tests/official/differences.py lacks it")

    def names(self) -> dict[tuple[str, str], str | None]:
        """What this version calls otherwise than the bridge's rules say."""
        return {**RENAMED, **(VERSION_5 if self.version.startswith("5.") else {})}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def plural(name: str) -> str:
    """As the bridge makes it."""
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + ("es" if re.search(r"(s|x|z|ch|sh)$", name) else "s")


class References(Answers):
    """Answers with references, so that what the program makes of a computed value can be put back into Terraform's words."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        identity, answers = super().new_resource(args)
        if not args.typ.startswith("aws:"):
            return identity, answers
        type_ = self.schema.type_of(args.typ)
        for name, attribute in self.schema.resource(type_)["attributes"].items():
            if attribute.get("computed") and attribute.get("type") == "string" and camel(name) not in args.inputs:
                answers[camel(name)] = _reference(type_, args.name, name)
        return _reference(type_, args.name, "id"), answers


def _reference(type_: str, name: str, attribute: str) -> str:
    prefix = "arn:aws:ref:us-east-1:000000000000:" if attribute.endswith("arn") else ""
    return f"{prefix}ref-{type_}.{name}.{attribute}-fer"


def substituted(value: Any, value_of: Callable[[str, str, str], str]) -> Any:
    """Inputs with `value_of(type, name, attribute)` in the place of references."""
    if isinstance(value, Mapping):
        return {key: substituted(each, value_of) for key, each in value.items()}
    if isinstance(value, list):
        return [substituted(each, value_of) for each in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: value_of(found["type"], found["name"], found["attribute"]), value)
    return value


@dataclass
class Translation:
    """One environment for Terraform. `problems` are inputs that the provider does not know."""

    schema: Schema
    problems: list[str] = field(default_factory=list)

    def configuration(self, rendered: Rendered, provider: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a `main.tf.json`. `provider` adds to the provider's own inputs."""
        types = {each.name: self.schema.type_of(each.token) for each in rendered.aws}
        resources: dict[str, dict[str, Any]] = {}
        for each in rendered.aws:
            resources.setdefault(types[each.name], {})[each.name] = self._resource(each, types)
        given = [self._provider(each) for each in rendered.of(PROVIDER_TOKEN)]
        assert len(given) == 1, "an environment has one AWS provider"
        return {
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
            "provider": {"aws": {**given[0], **provider}},
            "resource": resources,
        }

    def _resource(self, resource: Registered, types: Mapping[str, str]) -> dict[str, Any]:
        type_ = types[resource.name]
        block = self.schema.resource(type_)
        names = self.schema.names()
        inputs = {names.get((type_, key), key): value for key, value in resource.inputs.items()}
        made = self.block({key: value for key, value in inputs.items() if key}, block, f"{type_}.{resource.name}")
        made["depends_on"] = [f"{types[name]}.{name}" for name in resource.dependencies if name in types]
        if resource.ignore_changes:
            ignored = [names.get((type_, key), key) for key in resource.ignore_changes]
            made["lifecycle"] = {"ignore_changes": [field_name(key, block) for key in ignored if key]}
        return made

    def outputs(self, type_: str, state: Mapping[str, Any]) -> dict[str, Any]:
        """A resource's state as Terraform's own would have it; what this version of the provider does not have is left out."""
        names = self.schema.names()
        known = {names.get((type_, key), key): value for key, value in state.items()}
        made = self.block({key: value for key, value in known.items() if key}, self.schema.resource(type_), type_)
        plain: dict[str, Any] = json.loads(json.dumps(made).replace("$${", "${").replace("%%{", "%{"))
        return plain

    def _provider(self, resource: Registered) -> dict[str, Any]:
        inputs = {
            name: json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
            for name, value in resource.inputs.items()
        }
        return self.block(inputs, self.schema.provider, "provider")

    def block(self, inputs: Mapping[str, Any], block: Mapping[str, Any], where: str) -> dict[str, Any]:
        """One block's arguments and nested blocks."""
        made: dict[str, Any] = {}
        for key, value in inputs.items():
            try:
                name = field_name(key, block)
            except NotInTheSchema as unknown:
                self.problems.append(f"{where}: {unknown}")
                continue
            made[name] = self._value(value, name, block, f"{where}.{name}")
        return made

    def _value(self, value: Any, name: str, block: Mapping[str, Any], where: str) -> Any:
        nested = block.get("block_types", {}).get(name)
        if nested is not None:
            return [self.block(each, nested["block"], where) for each in _as_list(value)]
        attribute = block["attributes"][name]
        if "nested_type" in attribute:
            inner = attribute["nested_type"]
            made = [self.block(each, inner, where) for each in _as_list(value)]
            return made[0] if inner["nesting_mode"] == "single" else made
        return self._typed(value, attribute["type"], where)

    def _typed(self, value: Any, type_: Any, where: str) -> Any:
        match type_:
            case ["list" | "set", inner]:
                return [self._typed(each, inner, where) for each in _as_list(value)]
            case ["map", inner]:
                return {key: self._typed(each, inner, where) for key, each in value.items()}
            case ["object", members]:
                attributes = {"attributes": {name: {"type": member} for name, member in members.items()}}
                made = self.block(value, attributes, where)
                return {name: made.get(name) for name in members}
        return self._text(value) if isinstance(value, str) else value

    def _text(self, value: str) -> str:
        pieces, end = [], 0
        for found in _REFERENCE.finditer(value):
            pieces += [_literal(value[end : found.start()]), f"${{{found['type']}.{found['name']}.{found['attribute']}}}"]
            end = found.end()
        return "".join([*pieces, _literal(value[end:])])


def field_name(key: str, block: Mapping[str, Any]) -> str:
    """The official name of a camelCase input. Raises NotInTheSchema."""
    names: Iterable[str] = [*block.get("attributes", {}), *block.get("block_types", {})]
    wanted = key.replace("_", "").lower()
    for form in (lambda name: name, plural):
        found = [name for name in names if form(name).replace("_", "") == wanted]
        if found:
            return found[0]
    raise NotInTheSchema(f"no argument {key!r}; there are {', '.join(sorted(names))}")


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _literal(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
