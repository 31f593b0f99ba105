"""Makes, reads, changes and deletes a resource by what the table says of its type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jmespath

from local.provider.api import Api, operation_model
from local.provider.compare import Comparison, empty
from local.provider.errors import AwsError, PartialError, ProviderError
from local.provider.resource import Call, Properties, Read, ResourceType, Setting, Wait, references
from local.provider.schema import type_schema
from local.provider.shapes import Problems, from_aws, key_of, member_of, to_aws
from local.provider.tags import apply_tags, create_tags, read_tags, split_tags, tags_from
from local.provider.wire import UNKNOWN

_BRACES = re.compile(r"\{(\w+)\}")


def fill(text: str, api: Api, identity: str, values: Mapping[str, Any]) -> str | None:
    """A text with its braces filled in; None if one of them has no value."""
    known = {"partition": api.partition, "region": api.region, "account": api.account, "dns": api.dns_suffix, "id": identity}
    missing: list[str] = []

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        given = values.get(name) if name in values and name != "region" else known.get(name)
        if empty(given) or given is UNKNOWN:
            missing.append(name)
        return str(given)

    made = _BRACES.sub(value, text)
    return None if missing else made


class Request:
    """The parameters of a call, made from properties; keeps what was wrong and whether something is unknown."""

    def __init__(self, service: str, call: Call | Read, values: Mapping[str, Any], identity: str) -> None:
        self.service = call.service or service
        self.operation = call.operation
        self.problems = Problems()
        self.values = {**values, "id": identity}
        self.params: Properties = {}
        shape = operation_model(self.service, call.operation).input_shape
        if shape is None:
            return
        for name in getattr(call, "fields", ()) if isinstance(call, Call) else ():
            member = member_of(shape, name)
            if member is None:
                raise ProviderError(f"{call.operation} has no member for {name}")
            if not empty_input(values.get(name)):
                self.params[member] = to_aws(values[name], shape.members[member], name, self.problems)
        for member, template in call.params.items():
            made = self._template(template, shape.members[member], member)
            if made is not None:
                self.params[member] = made
        self.missing = [m for m in shape.required_members if m not in self.params]

    def _template(self, template: Any, shape: Any, path: str) -> Any:
        if isinstance(template, str) and template.startswith("$"):
            value = self.values.get(template[1:])
            return None if empty_input(value) else to_aws(value, shape, template[1:], self.problems)
        if isinstance(template, Mapping):
            inner = shape.members if shape.type_name == "structure" else dict.fromkeys(template, shape.value)
            made = {k: self._template(v, inner[k], f"{path}.{k}") for k, v in template.items()}
            kept = {k: v for k, v in made.items() if v is not None}
            return kept if kept or not any(True for _ in references(template)) else None
        if isinstance(template, list):
            items = [self._template(v, shape.member, path) for v in template]
            return [v for v in items if v is not None] or None
        return template


def is_absent(error: AwsError, codes: tuple[str, ...]) -> bool:
    """Whether an error says that there is no such thing: a code, or `code:text` with a part of the message."""
    for entry in codes:
        code, _, text = entry.partition(":")
        if error.code == code and text.lower() in error.message.lower():
            return True
    return False


def empty_input(value: Any) -> bool:
    """Whether a value is as good as not given. An empty list or map does say something; an empty text does not."""
    return value is None or value == ""


def make_call(api: Api, kind: ResourceType, call: Call, values: Mapping[str, Any], identity: str) -> Properties:
    """Calls an operation with parameters made from properties."""
    request = Request(kind.service, call, values, identity)
    return api.call(request.service, request.operation, **request.params)


def validate(kind: ResourceType, inputs: Properties, problems: Problems) -> None:
    """Holds inputs against the shapes of the calls that will carry them."""
    calls = [kind.create, *(s.call for s in kind.settings if isinstance(s.call, Call) and any(p in inputs for p in s.props))]
    for call in calls:
        request = Request(kind.service, call, inputs, "")
        for path, reason in request.problems.found:
            problems.add(path, reason)


def with_defaults(kind: ResourceType, inputs: Properties) -> Properties:
    """Inputs with the type's defaults where the program says nothing."""
    return {**kind.defaults, **inputs}


def create(api: Api, kind: ResourceType, inputs: Properties) -> tuple[str, Properties]:
    """Makes the resource and returns its id and state. Raises PartialError if it exists but is not as asked."""
    values = with_defaults(kind, inputs)
    if kind.on_create:
        identity, answer = kind.on_create(api, values), {}
    else:
        request = Request(kind.service, kind.create, values, "")
        if kind.tags:
            create_tags(kind.tags, request.service, request.operation, request.params, values.get("tagsAll", {}))
        answer = api.call(request.service, request.operation, **request.params)
        identity = _identity(api, kind, values, answer)
    known = {**values, "region": api.region}
    try:
        if kind.after_create:
            kind.after_create(api, identity, values)
        carried = kind.create.properties()
        if kind.wait:
            wait_for(api, kind, identity, known, kind.wait)
        for setting in kind.settings:
            if setting.at_create and any(not empty_input(inputs.get(p)) for p in setting.props):
                if carried >= set(setting.props) or all(kind.defaults.get(p) == values.get(p) for p in setting.props):
                    continue
                _apply(api, kind, setting, identity, {}, {**known, "id": identity})
        if kind.tags and kind.tags.create is None and values.get("tagsAll"):
            apply_tags(api, kind, identity, known, {}, values["tagsAll"])
        state = read(api, kind, identity, known, inputs, fresh=True)
    except Exception as error:
        raise PartialError(f"{error}", identity, {**known, "id": identity}) from error
    if state is None:
        raise PartialError("the resource is gone right after it was made", identity, {**known, "id": identity})
    return identity, state


def _identity(api: Api, kind: ResourceType, values: Properties, answer: Properties) -> str:
    made = fill(kind.identity, api, "", values) if "{" in kind.identity else jmespath.search(kind.identity, answer)
    if not made:
        raise ProviderError(f"{kind.create.operation} answered without {kind.identity}")
    return str(made)


def _apply(api: Api, kind: ResourceType, setting: Setting, identity: str, old: Properties, new: Properties) -> None:
    if not isinstance(setting.call, Call):
        setting.call(api, old, new)
    elif setting.clear and all(empty_input(new.get(p)) for p in setting.props):
        make_call(api, kind, setting.clear, {**old, **new}, identity)
    else:
        make_call(api, kind, setting.call, {**old, **{p: None for p in setting.props}, **new}, identity)


def update(
    api: Api, kind: ResourceType, identity: str, old: Properties, new: Properties, changed: set[str], inputs: Properties
) -> Properties:
    """Changes what differs, in place; returns the new state. Raises PartialError if it stopped half way."""
    kept = {k: v for k, v in old.items() if k not in kind.managed()}
    values = {**kept, **with_defaults(kind, new), "id": identity, "region": api.region}
    try:
        if kind.on_update:
            kind.on_update(api, identity, old, values, changed)
        elif kind.upsert and changed - {"tags", "tagsAll"}:
            make_call(api, kind, kind.create, values, identity)
        for setting in kind.settings:
            if changed & set(setting.props) and not (kind.upsert and kind.create.properties() >= set(setting.props)):
                _apply(api, kind, setting, identity, old, values)
        if kind.tags and old.get("tagsAll", {}) != new.get("tagsAll", {}):
            apply_tags(api, kind, identity, {**old, **values}, old.get("tagsAll", {}), new.get("tagsAll", {}))
        if kind.wait and changed - {"tags", "tagsAll"}:
            wait_for(api, kind, identity, values, kind.wait)
        state = read(api, kind, identity, values, inputs, fresh=True)
    except Exception as error:
        raise PartialError(f"{error}", identity, old) from error
    if state is None:
        raise ProviderError("the resource is gone: refresh the stack")
    return state


def delete(api: Api, kind: ResourceType, identity: str, state: Properties) -> None:
    """Deletes the resource; one that is gone already is no error."""
    try:
        if kind.on_delete:
            kind.on_delete(api, identity, state)
        elif kind.delete:
            make_call(api, kind, kind.delete, state, identity)
        else:
            return
    except AwsError as error:
        if not is_absent(error, (*kind.absent, *(kind.reads[0].absent if kind.reads else ()))):
            raise
    if kind.vanishes:
        api.wait(lambda: found_main(api, kind, identity, state) is None, 1800, f"the end of {identity}")


def found_main(api: Api, kind: ResourceType, identity: str, state: Properties) -> Any:
    """What the main description says, or None if the resource is gone."""
    return kind.on_read(api, identity, state) if kind.on_read and not kind.reads else describe(api, kind, kind.reads[0], identity, state)


def wait_for(api: Api, kind: ResourceType, identity: str, values: Properties, wait: Wait) -> None:
    """Waits until the resource is ready. Raises ProviderError with AWS's reason if it fails."""

    def done() -> bool:
        found = describe(api, kind, kind.reads[0], identity, values)
        status = jmespath.search(wait.path, found) if found is not None else None
        if status in wait.bad:
            reason = jmespath.search(wait.reason, found) if wait.reason else None
            raise ProviderError(f"{identity} is {status}" + (f": {reason}" if reason else ""))
        return status in wait.ok

    api.wait(done, wait.seconds, f"{identity} to be {' or '.join(map(str, wait.ok))}")


def describe(api: Api, kind: ResourceType, step: Read, identity: str, values: Mapping[str, Any]) -> Any:
    """What one read finds, or None."""
    request = Request(kind.service, step, values, identity)
    try:
        answer = api.call(request.service, request.operation, **request.params)
    except AwsError as error:
        if is_absent(error, step.absent):
            return None
        raise
    found = jmespath.search(step.at.replace("{id}", identity), answer)
    if step.gone and found is not None and jmespath.search(step.gone, found):
        return None
    return found


def read(
    api: Api, kind: ResourceType, identity: str, known: Properties, inputs: Properties, *, fresh: bool = False, full: bool = False
) -> Properties | None:
    """The state of the resource, or None if it is gone.

    `known` is the last state: what AWS does not tell, and what is only worded differently, stays. `fresh`: a change was just made, so
    that what `known` says of volatile properties is from the program. `full`: an import, so nothing is known.
    """
    schema = type_schema(kind.token)
    found = kind.on_read(api, identity, known) if kind.on_read else _read_all(api, kind, identity, known)
    if found is None:
        return None
    managed = kind.managed()
    state: Properties = {}
    for name in {*schema.outputs} - {"tags", "tagsAll"}:
        value = found.get(name)
        if name in kind.volatile and not fresh and not full and empty(inputs.get(name)):
            value = known.get(name)
        if empty(value) and (name in kind.local or (name not in found and not kind.on_read and name not in managed)):
            value = known.get(name, kind.defaults.get(name))
        if not empty(value):
            state[name] = value
    for name, text in kind.outputs.items():
        made = fill(text, api, identity, {**known, **state})
        if made is not None and empty(found.get(name)):
            state[name] = made
    for name, default in kind.defaults.items():
        if name in schema.outputs:
            state.setdefault(name, default)
    if "region" in schema.outputs:
        state["region"] = api.region
    if kind.tags:
        everything = found.get("tagsAll") if "tagsAll" in found else read_tags(api, kind, identity, {**known, **state})
        state["tagsAll"], tags = split_tags(api.settings, everything or {}, known.get("tags", {}) if not full else {})
        if tags:
            state["tags"] = tags
    comparison = Comparison(kind.documents, kind.ordered)
    wanted = {**known, **inputs} if fresh else known
    settled = {k: comparison.settle(schema.outputs.get(k, "any"), wanted.get(k), v, k) for k, v in state.items()}
    if kind.normalise:
        settled = kind.normalise(api, settled)
    return {**settled, "id": identity}


def _read_all(api: Api, kind: ResourceType, identity: str, known: Properties) -> Properties | None:
    schema = type_schema(kind.token)
    main = kind.reads[0]
    described = describe(api, kind, main, identity, known)
    if described is None:
        return None
    found: Properties = {}
    if isinstance(described, Mapping):
        members, exact = {key_of(k): v for k, v in described.items()}, {k.lower(): v for k, v in described.items()}
        for name, type_ in schema.outputs.items():
            if name in main.fields or name in main.skip or name in ("tags", "tagsAll", "region", "id"):
                continue
            value = exact.get(name.lower(), members.get(key_of(name)))
            found[name] = from_aws(value, type_)
        if kind.tags and isinstance(kind.tags.read, str) and kind.tags.read:
            found["tagsAll"] = tags_from(kind.tags.style, jmespath.search(kind.tags.read, described))
    _pick(found, main, described, schema.outputs)
    for step in kind.reads[1:]:
        if any(r not in ("id",) and empty(known.get(r)) and empty(found.get(r)) for r in references(step.params)):
            continue
        extra = describe(api, kind, step, identity, {**known, **{k: v for k, v in found.items() if v is not None}})
        if extra is None:
            found.update({name: None for name in step.fields})
        else:
            _pick(found, step, extra, schema.outputs)
    return found


def _pick(found: Properties, step: Read, described: Any, types: Mapping[str, str]) -> None:
    for name, path in step.fields.items():
        value = jmespath.search(path, described)
        found[name] = value if name not in types else from_aws(value, types[name])


def planned(kind: ResourceType, inputs: Properties, old: Properties | None, changed: set[str]) -> Properties:
    """The state that a preview shows: inputs, and what AWS will say as unknown (for a change: only what follows from it)."""
    schema = type_schema(kind.token)
    values = with_defaults(kind, inputs)
    if old is None:
        made: Properties = {name: UNKNOWN for name in schema.outputs if name not in ("tags", "tagsAll") or kind.tags is None}
        made.update({k: v for k, v in values.items() if k in schema.outputs and k != "__defaults"})
        optional = [k for k in schema.inputs if k not in values and k not in kind.computed and k not in kind.outputs and k != "region"]
        for name in optional:
            made.pop(name, None)
        if kind.tags:
            made.setdefault("tagsAll", {})
        return made
    kept = {k: v for k, v in old.items() if k not in kind.managed() or k in kind.computed or k == "region"}
    after = kind.unknown_after(changed) if kind.unknown_after else set()
    return {**kept, **{k: v for k, v in values.items() if k != "__defaults"}, **{name: UNKNOWN for name in after}}
