"""Reads one stack's config, and says precisely what is wrong with it.

The program takes the object from the engine (`pulumi.Config`), the command line and the cross-checks from the stack
files; both come through `parse`. Nothing here makes a network call or imports pulumi.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from infra.config.fields import EnvironmentName
from infra.config.model import EnvironmentConfig
from infra.config.rules import Fault, faults
from infra.errors import ConfigError, UsageError

CONFIG_KEY = "lockstep:environment"
# Beside `config`, what the engine itself notes in a stack's file.
_TOP_KEYS = ("config", "encryptionsalt", "encryptedkey", "secretsprovider")
_EXPECTED = {
    "string_type": "a text (in quotes, where it looks like a number)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a map of keys to values",
    "model_type": "a map of keys to values",
    "model_attributes_type": "a map of keys to values",
}


@dataclass(frozen=True)
class Stack:
    """One environment: its name, the file that describes it, and what the file says."""

    name: str
    file: Path
    config: EnvironmentConfig

    @property
    def label(self) -> str:
        """The file as messages name it: `stacks/Pulumi.dev.yaml`."""
        return f"{self.file.parent.name}/{self.file.name}"


def stack_file(folder: Path, name: str) -> Path:
    """The stack file of an environment in the folder `stacks`."""
    return folder / f"Pulumi.{name}.yaml"


def stack_names(folder: Path) -> tuple[str, ...]:
    """Names of the environments that have a stack file, sorted."""
    files = (path for path in folder.glob("Pulumi.*.yaml") if path.is_file())
    return tuple(sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in files))


def load_stack(folder: Path, name: str) -> Stack:
    """Reads and validates the stack file of one environment.

    Raises:
        UsageError: there is no such environment.
        ConfigError: the file is wrong, or its name is.
    """
    file = stack_file(folder, name)
    if not file.is_file():
        known = stack_names(folder)
        near = get_close_matches(name, known, n=1)
        raise UsageError(
            f"there is no environment {name!r}",
            where=f"{folder.name}/{file.name}",
            remedy=(f"Did you mean {near[0]!r}? " if near else "")
            + (f"Known environments: {', '.join(known)}." if known else f"The folder {folder.name} holds no stack file."),
        )
    _check_name(name, file)
    return Stack(name, file, parse(_read(file), name=name, file=file))


def load_all(folder: Path) -> dict[str, Stack]:
    """All environments of the folder, by name."""
    return {name: load_stack(folder, name) for name in stack_names(folder)}


def parse(value: object, *, name: str, file: Path) -> EnvironmentConfig:
    """Validates the object `lockstep:environment`.

    Args:
        value: what the file or the engine holds at that key; None when it holds nothing.
        name: the environment, for messages.
        file: the stack file, for messages.

    Raises:
        ConfigError: with the file, the key path, what was found and what was expected; all faults at once.
    """
    label = f"{file.parent.name}/{file.name}"
    if value is None:
        raise ConfigError(
            f"the key {CONFIG_KEY} is missing", where=label, remedy=f"Copy it from another stack file and change the values of {name!r}."
        )
    try:
        text = json.dumps(value, default=str)
    except (ValueError, RecursionError):  # YAML can say that a part holds itself
        raise ConfigError("a value holds itself", where=f"{label}, {CONFIG_KEY}", remedy="Take the anchor out of its own value.") from None
    try:
        config = EnvironmentConfig.model_validate_json(text)
    except ValidationError as error:
        raise problems(label, [_explain(each) for each in _told(error.errors(include_url=False))]) from None
    if found := faults(config):
        raise problems(label, found)
    return config


def problems(label: str, found: list[Fault]) -> ConfigError:
    """One error out of several faults, each a key path below `lockstep:environment` and a sentence."""
    remedy = "Correct the file; `stacks/environment.schema.json` describes each key."
    if len(found) == 1:
        path, text = found[0]
        return ConfigError(text, where=f"{label}, {CONFIG_KEY}.{path}" if path else f"{label}, {CONFIG_KEY}", remedy=remedy)
    lines = "".join(f"\n  - {path}: {text}" if path else f"\n  - {text}" for path, text in found)
    return ConfigError(f"{len(found)} values are wrong{lines}", where=f"{label}, {CONFIG_KEY}", remedy=remedy)


def _check_name(name: str, file: Path) -> None:
    """A name that chains could not say, or that would make physical names too long, belongs to no environment."""
    try:
        TypeAdapter(EnvironmentName).validate_python(name)
    except ValidationError:
        raise ConfigError(
            f"found an environment called {name!r}, expected up to 16 lower-case letters and digits, a letter first",
            where=f"{file.parent.name}/{file.name}",
            remedy="Rename the file: what stands between `Pulumi.` and `.yaml` is the name of the stack.",
        ) from None


def _read(file: Path) -> object:
    label = f"{file.parent.name}/{file.name}"
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_OnceLoader)
    except OSError as error:
        raise ConfigError(f"the file can't be read: {error.strerror}", where=label, remedy="Make it a file that you may read.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"byte {error.start} is not UTF-8", where=label, remedy="Save the file as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"this is not YAML: {getattr(error, 'problem', error)}", where=f"{label}{place}", remedy="Correct the file."
        ) from None
    for key in document if isinstance(document, dict) else ():
        if key not in _TOP_KEYS:
            raise ConfigError(f"unknown key {key!r}", where=label, remedy=f"Known here: {', '.join(_TOP_KEYS)}.")
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise ConfigError(
            "the key `config` is missing or holds no keys", where=label, remedy=f"The file needs `config:` with `{CONFIG_KEY}:` below it."
        )
    for key in config:
        if key != CONFIG_KEY and not str(key).startswith("pulumi:"):
            raise ConfigError(
                f"unknown key {key!r}",
                where=f"{label}, config",
                remedy=f"All values of an environment stand below {CONFIG_KEY}, so that environments can be compared.",
            )
    return config.get(CONFIG_KEY)


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a map; YAML's usual reader takes the last one and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _told(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without the lists that are too short only because an entry is wrong."""
    places = [each["loc"] for each in errors]
    return [
        each
        for each in errors
        if each["type"] != "too_short" or not any(place != each["loc"] and place[: len(each["loc"])] == each["loc"] for place in places)
    ]


def _explain(error: ErrorDetails) -> tuple[str, str]:
    location = tuple(
        part for part in error["loc"] if not (isinstance(part, str) and part.startswith(("function-", "constrained-", "[key]")))
    )
    path = ".".join(str(part) for part in location)
    kind, found, context = error["type"], _shown(error.get("input")), error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(location[:-1])
        near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.7)
        return path, "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known keys here: {', '.join(known)}")
    if kind == "missing":
        return path, f"missing: expected {_description(location) or 'a value (null where there is none, if the key allows it)'}"
    if kind in ("too_short", "too_long"):
        return path, f"found {context['actual_length']} entries, expected {_bounds(context)}"
    if kind == "literal_error":
        expected = f"one of {context['expected']}"
        options = {each.lower(): each for each in str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")}
        near = [options[each] for each in get_close_matches(str(error.get("input")).lower(), options, n=1)]
        return path, f"found {found}, expected {expected}" + (f"; did you mean {near[0]!r}?" if near else "")
    if kind == "value_error":
        return path, f"found {found}, expected {context['error']}"
    if kind == "string_pattern_mismatch":
        return path, f"found {found}, expected {_description(location) or 'a text that matches ' + str(context['pattern'])}"
    expected = _EXPECTED.get(kind) or error["msg"].removeprefix("Input should be ").removeprefix("Input should have ")
    return path, f"found {found}, expected {expected}"


def _bounds(context: dict[str, Any]) -> str:
    return f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    here: Any = EnvironmentConfig
    for part in location:
        if isinstance(part, int):
            continue
        field = _field(here, part)
        if field is None:
            return None
        here = _model_in(field.annotation)
        if here is None:
            return None
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _field(model: type[BaseModel], key: str) -> Any:
    return next((field for field in model.model_fields.values() if field.alias == key), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, tuple):
        return next((model for each in get_args(annotation) if (model := _model_in(each)) is not None), None)
    return None


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    model = _model_at(location)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _description(location: tuple[int | str, ...]) -> str | None:
    model = _model_at(location[:-1])
    field = _field(model, str(location[-1])) if model else None
    text = _kind(field) if field else None
    return text[0].lower() + text[1:] if text and text.startswith(("A ", "An ", "The ")) else None


def _kind(field: Any) -> str | None:
    if field.description:
        return str(field.description).rstrip(".")
    for part in get_args(field.annotation):
        for mark in getattr(part, "__metadata__", ()):
            if getattr(mark, "description", None):
                return str(mark.description).rstrip(".")
    return None
