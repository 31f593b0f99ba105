"""A pipeline definition: parsed, and refused where SageMaker would refuse it, before anything runs.

The wire format is what the SageMaker SDK compiles, version 2020-12-01.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.cloud.aws_errors import not_implemented
from local.cloud.pipelines.conditions import BadCondition, check
from local.cloud.pipelines.expressions import BadReference, Reference, references
from local.cloud.pipelines.policies import Cache, RetryPolicy
from local.cloud.sagemaker.base import validation

VERSION = "2020-12-01"
MAX_CHARACTERS = 1_048_576
MAX_PARAMETERS = 200
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
TRIGGERS = ("Failed", "Stopped", "Any")
PARAMETER_TYPES: dict[str, type | tuple[type, ...]] = {"String": str, "Integer": int, "Boolean": bool, "Float": (int, float)}
STEP_TYPES = frozenset({"Processing", "Training", "Condition", "Fail", "Model", "RegisterModel"})
RETRIED = STEP_TYPES - {"Condition", "Fail"}
OTHER_STEP_TYPES = frozenset(
    {"Tuning", "Transform", "Callback", "Lambda", "QualityCheck", "ClarifyCheck", "EMR", "EMRServerless", "AutoML", "EndpointConfig"}
    | {"Endpoint", "InferenceComponent", "Lineage", "ForEach", "Athena", "Cleanup", "HubContent", "Job"}
)


@dataclass(frozen=True)
class Parameter:
    """A parameter of the pipeline; `default` is None where a value must be given."""

    name: str
    type: str
    default: Any
    allowed: tuple[Any, ...]


@dataclass(frozen=True)
class Dependency:
    """A step that must end first; `trigger` is None for "must succeed"."""

    step: str
    trigger: str | None = None


@dataclass(frozen=True)
class Step:
    """One step. `branch` names the condition step and the side (True: if) where it stands in one."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    dependencies: tuple[Dependency, ...]
    property_files: Mapping[str, Mapping[str, str]]
    cache: Cache | None
    retries: tuple[RetryPolicy, ...]
    branch: tuple[str, bool] | None
    display_name: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Definition:
    """All of a pipeline: parameters and steps by name, those inside branches included."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any] = field(default_factory=dict)


def parse(text: str) -> Definition:
    """The definition in `text`; ValidationException where it is wrong, NotImplemented where a step's type is not interpreted here."""
    if len(text) > MAX_CHARACTERS:
        raise _wrong(f"it has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise _wrong(f"it is no JSON: {error}") from error
    if not isinstance(raw, dict):
        raise _wrong("it is no JSON object")
    if raw.get("Version") != VERSION:
        raise _wrong(f"Version must be {VERSION}, not {raw.get('Version')!r}")
    parameters = _parameters(_objects(raw, "Parameters", "the definition"))
    steps: dict[str, Step] = {}
    for step in _steps(raw.get("Steps"), None):
        if step.name in steps:
            raise _wrong(f"Step names must be unique; {step.name} is there twice")
        steps[step.name] = step
    definition = Definition(parameters, _with_implied_dependencies(steps, parameters), raw.get("PipelineExperimentConfig") or {})
    _check_graph(definition.steps)
    return definition


def _parameters(raw: list[dict[str, Any]]) -> dict[str, Parameter]:
    if len(raw) > MAX_PARAMETERS:
        raise _wrong(f"it has {len(raw)} parameters; {MAX_PARAMETERS} are allowed")
    answer: dict[str, Parameter] = {}
    for entry in raw:
        name, kind = entry.get("Name"), entry.get("Type")
        if not name or kind not in PARAMETER_TYPES:
            raise _wrong(f"a parameter needs a Name and a Type out of {', '.join(PARAMETER_TYPES)}: {entry}")
        if name in answer:
            raise _wrong(f"Parameter names must be unique; {name} is there twice")
        default, allowed = entry.get("DefaultValue"), tuple(entry.get("EnumValues") or ())
        if default is not None and not has_type(default, kind):
            raise _wrong(f"the default value of the parameter {name} is no {kind}")
        if default is not None and allowed and default not in allowed:
            raise _wrong(f"the default value of the parameter {name} is none of its EnumValues")
        answer[name] = Parameter(name, kind, default, allowed)
    return answer


def has_type(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a parameter's type; a Boolean is no number."""
    return isinstance(value, PARAMETER_TYPES[kind]) and (kind == "Boolean" or not isinstance(value, bool))


def _steps(raw: Any, branch: tuple[str, bool] | None) -> Iterator[Step]:
    if not isinstance(raw, list) or (not raw and branch is None):
        raise _wrong("Steps must be a list of at least one step" if branch is None else f"the branches of {branch[0]} must be lists")
    for entry in raw:
        if not isinstance(entry, dict):
            raise _wrong(f"{entry!r} is no step")
        name, kind = str(entry.get("Name", "")), str(entry.get("Type", ""))
        if not STEP_NAME.fullmatch(name):
            raise _wrong(f"{name!r} is no name of a step ([A-Za-z0-9-_], at most 64 characters)")
        if kind in OTHER_STEP_TYPES:
            raise not_implemented("sagemaker", f"a pipeline step of type {kind} (step {name})")
        if kind not in STEP_TYPES:
            raise _wrong(f"the step {name} has the unknown type {kind!r}")
        if kind == "Condition" and branch is not None:
            raise _wrong(f"the condition step {name} stands in a branch of {branch[0]}; condition steps can't be nested")
        if entry.get("RetryPolicies") and kind not in RETRIED:
            raise _wrong(f"the step {name} has RetryPolicies, which a step of type {kind} can't have")
        arguments = entry.get("Arguments") or {}
        if not isinstance(arguments, dict):
            raise _wrong(f"Arguments of the step {name} must be an object")
        yield Step(
            name=name,
            type=kind,
            arguments=arguments,
            dependencies=tuple(_dependency(name, item) for item in _list(entry, "DependsOn", f"the step {name}")),
            property_files=_property_files(name, entry),
            cache=Cache.parse(name, entry.get("CacheConfig")),
            retries=tuple(RetryPolicy.parse(name, item) for item in _objects(entry, "RetryPolicies", f"the step {name}")),
            branch=branch,
            display_name=entry.get("DisplayName"),
            description=entry.get("Description"),
        )
        if kind == "Condition":
            if not arguments.get("Conditions"):
                raise _wrong(f"the condition step {name} has no Conditions")
            try:
                for item in _list(arguments, "Conditions", f"the condition step {name}"):
                    check(item)
            except BadCondition as error:
                raise _wrong(f"the condition step {name}: {error}") from error
            yield from _steps(arguments.get("IfSteps") or [], (name, True))
            yield from _steps(arguments.get("ElseSteps") or [], (name, False))


def _list(raw: Mapping[str, Any], member: str, owner: str) -> list[Any]:
    found = raw.get(member) or []
    if not isinstance(found, list):
        raise _wrong(f"{member} of {owner} must be a list")
    return found


def _objects(raw: Mapping[str, Any], member: str, owner: str) -> list[dict[str, Any]]:
    found = _list(raw, member, owner)
    for item in found:
        if not isinstance(item, dict):
            raise _wrong(f"{member} of {owner} holds {item!r}, which is no object")
    return found


def _property_files(step: str, raw: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    files = {}
    for item in _objects(raw, "PropertyFiles", f"the step {step}"):
        for member in ("PropertyFileName", "OutputName", "FilePath"):
            if not isinstance(item.get(member), str):
                raise _wrong(f"a property file of the step {step} has no {member}")
        files[item["PropertyFileName"]] = item
    return files


def _dependency(step: str, raw: Any) -> Dependency:
    if isinstance(raw, str):
        return Dependency(raw)
    if isinstance(raw, dict) and "Step" in raw and raw.get("Trigger") in (*TRIGGERS, None):
        return Dependency(raw["Step"], raw.get("Trigger"))
    raise _wrong(f"DependsOn of the step {step} holds {raw!r}")


def own_arguments(step: Step) -> Mapping[str, Any]:
    """A step's arguments without the steps in its branches, which have arguments of their own."""
    if step.type != "Condition":
        return step.arguments
    return {"Conditions": step.arguments["Conditions"]}


def _with_implied_dependencies(steps: Mapping[str, Step], parameters: Mapping[str, Parameter]) -> dict[str, Step]:
    """Check every reference, and add the dependencies that references and branches imply."""
    answer: dict[str, Step] = {}
    for step in steps.values():
        dependencies = {item.step: item for item in step.dependencies}
        try:
            found = list(references(own_arguments(step)))
        except BadReference as error:
            raise _wrong(f"the step {step.name}: {error}") from error
        for reference in found:
            _check_reference(step, reference, steps, parameters)
            if reference.root == "Steps":
                dependencies.setdefault(reference.name, Dependency(reference.name))
        if step.branch is not None:
            dependencies.setdefault(step.branch[0], Dependency(step.branch[0]))
        answer[step.name] = Step(**{**step.__dict__, "dependencies": tuple(dependencies.values())})
    return answer


def _check_reference(step: Step, reference: Reference, steps: Mapping[str, Step], parameters: Mapping[str, Parameter]) -> None:
    if reference.root == "Parameters" and reference.name not in parameters:
        raise _wrong(f"the step {step.name} refers to the parameter {reference.name}, which is not declared")
    if reference.root != "Steps":
        return
    target = steps.get(reference.name)
    if target is None:
        raise _wrong(f"the step {step.name} refers to the step {reference.name}, which does not exist")
    if reference.property_file is not None:
        file = target.property_files.get(reference.property_file)
        if file is None:
            raise _wrong(
                f"the step {step.name} refers to the property file {reference.property_file}, which {target.name} does not declare"
            )
        outputs = (target.arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        output = file.get("OutputName")
        if output not in [item.get("OutputName") for item in outputs]:
            raise _wrong(f"the property file {reference.property_file} lies in the output {output}, which the step {target.name} has not")


def _check_graph(steps: Mapping[str, Step]) -> None:
    for step in steps.values():
        for dependency in step.dependencies:
            target = steps.get(dependency.step)
            if target is None:
                raise _wrong(f"the step {step.name} depends on {dependency.step}, which does not exist")
            if target.type == "Fail":
                raise _wrong(f"the step {step.name} depends on {target.name}, a Fail step; nothing can come after one")
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            raise _wrong(f"the steps form a cycle: {' -> '.join([*path[path.index(name) :], name])}")
        if name not in done:
            path.append(name)
            for dependency in steps[name].dependencies:
                visit(dependency.step)
            path.pop()
            done.add(name)

    for name in steps:
        visit(name)


def _wrong(reason: str) -> Exception:
    return validation(f"Unable to parse pipeline definition. {reason[0].upper()}{reason[1:]}.")
