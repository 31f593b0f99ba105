"""What differs between a resource as it is and as the program wants it.

Sets come as lists, policies come back reworded, and AWS adds its defaults to nested objects: none of that is a difference. A value
that is not in the program is one only if the program had it before, or if the type says what the default is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from local.provider.schema import object_schema
from local.provider.wire import UNKNOWN, Asset, contains_unknown

_ACCOUNT = re.compile(r"\d{12}")
_ROOT = re.compile(r"arn:aws[\w-]*:iam::(\d{12}):root")


def empty(value: Any) -> bool:
    """Whether a value says no more than its absence."""
    return value is None or value == "" or (isinstance(value, (list, Mapping)) and not value)


def policy_form(document: Any) -> Any:
    """A JSON document in the form under which equal ones are equal; an IAM policy as IAM compares policies."""
    if isinstance(document, str):
        try:
            parsed = json.loads(document)
        except ValueError:
            return document
    else:
        parsed = document
    if not isinstance(parsed, Mapping) or "Statement" not in parsed:
        return parsed
    statements = parsed["Statement"] if isinstance(parsed["Statement"], list) else [parsed["Statement"]]
    made = {k: v for k, v in parsed.items() if k != "Statement"}
    made["Statement"] = sorted((_statement(s) for s in statements), key=_sort_key)
    return made


def _statement(statement: Any) -> Any:
    if not isinstance(statement, Mapping):
        return statement
    made: dict[str, Any] = {}
    for name, value in statement.items():
        if name in ("Action", "NotAction", "Resource", "NotResource"):
            made[name] = _unordered(value, lower=name.endswith("Action"))
        elif name in ("Principal", "NotPrincipal"):
            made[name] = {"AWS": ["*"]} if value == "*" else {k: _principals(v) for k, v in value.items()}
        elif name == "Condition":
            made[name] = {op: {k: _unordered(v) for k, v in keys.items()} for op, keys in value.items()}
        elif name == "Sid" and value == "":
            continue
        else:
            made[name] = value
    return made


def _unordered(value: Any, *, lower: bool = False) -> list[str]:
    values = value if isinstance(value, list) else [value]
    texts = {("true" if v is True else "false" if v is False else str(v)) for v in values}
    return sorted(t.lower() for t in texts) if lower else sorted(texts)


def _principals(value: Any) -> list[str]:
    texts = _unordered(value)
    return sorted({found.group(1) if (found := _ROOT.fullmatch(t)) else t for t in texts})


def _sort_key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


class Comparison:
    """Compares values of one type; `documents` and `ordered` are the type's property paths."""

    def __init__(self, documents: Iterable[str] = (), ordered: Iterable[str] = ()) -> None:
        self.documents = frozenset(documents)
        self.ordered = frozenset(ordered)

    def changes(self, kind: str, old: Any, prior: Any, new: Any, path: str) -> list[tuple[str, str]]:
        """(property path, add | delete | update) for each difference.

        `old` is the state, `prior` what the program said last, `new` what it says now.
        """
        if new is UNKNOWN:
            return [(path, "update" if not empty(old) else "add")]
        if empty(new):
            removed = not empty(prior) and not empty(old)
            return [(path, "delete")] if removed and not (kind == "boolean" and old is False) else []
        if empty(old) and not (isinstance(new, Mapping) and kind.startswith("@")):
            return [] if kind == "boolean" and new is False and empty(prior) else [(path, "add")]
        if kind.startswith("@"):
            return self._objects(kind, old, prior, new, path)
        if kind.startswith("{"):
            return self._maps(kind, old, new, path)
        if kind.startswith("["):
            return [] if self._lists(kind, old, prior, new, path) else [(path, "update")]
        return [] if self._scalars(old, new, path, kind) else [(path, "update")]

    def same(self, kind: str, old: Any, new: Any, path: str) -> bool:
        """Whether a state says what an input says."""
        return not self.changes(kind, old, new, new, path)

    def _objects(self, kind: str, old: Any, prior: Any, new: Any, path: str) -> list[tuple[str, str]]:
        if not isinstance(new, Mapping):
            return [] if old == new else [(path, "update")]
        old = old if isinstance(old, Mapping) else {}
        prior = prior if isinstance(prior, Mapping) else {}
        if not old and not new:
            return []
        properties = object_schema(kind).properties
        found: list[tuple[str, str]] = []
        for name in sorted({*new, *prior} & set(properties)):
            found += self.changes(properties[name], old.get(name), prior.get(name), new.get(name), f"{path}.{name}")
        return found

    def _maps(self, kind: str, old: Any, new: Any, path: str) -> list[tuple[str, str]]:
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            return [(path, "update")]
        found: list[tuple[str, str]] = []
        for name in sorted({*old, *new}):
            where = f"{path}.{name}" if re.fullmatch(r"[\w$]+", name) else f'{path}["{name}"]'
            if name not in new:
                found.append((where, "delete"))
            elif name not in old:
                found.append((where, "add"))
            elif new[name] is UNKNOWN or not self._scalars(old[name], new[name], where, kind[1:-1]):
                found.append((where, "update"))
        return found

    def _lists(self, kind: str, old: Any, prior: Any, new: Any, path: str) -> bool:
        if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
            return False
        inner, bare = kind[1:-1], re.sub(r"\[\d+\]", "", path)
        before = prior if isinstance(prior, list) else []

        def was(index: int) -> Any:
            return before[index] if index < len(before) else None

        if bare in self.ordered:
            return all(not self.changes(inner, old[i], was(i), new[i], path) for i in range(len(new)))
        left = list(range(len(old)))
        for index, wanted in enumerate(new):
            match = next((i for i in left if not self.changes(inner, old[i], was(index), wanted, path)), None)
            if match is None:
                return False
            left.remove(match)
        return True

    def _scalars(self, old: Any, new: Any, path: str, kind: str) -> bool:
        if contains_unknown(new):
            return False
        if isinstance(old, Asset) and isinstance(new, Asset):
            return old.hash == new.hash
        if old == new and not isinstance(old, bool) and not isinstance(new, bool):
            return True
        if re.sub(r"\[\d+\]", "", path) in self.documents:
            return bool(policy_form(old) == policy_form(new))
        if kind == "boolean":
            return str(old).lower() == str(new).lower()
        if kind in ("integer", "number"):
            try:
                return float(old) == float(new)
            except (TypeError, ValueError):
                return False
        return _text(old) == _text(new)

    def settle(self, kind: str, wanted: Any, found: Any, path: str) -> Any:
        """The state to keep: what is known already where AWS only words it differently, what AWS says elsewhere."""
        if empty(found) or empty(wanted) or contains_unknown(wanted):
            return found
        if kind.startswith("@") and isinstance(wanted, Mapping) and isinstance(found, Mapping):
            properties = object_schema(kind).properties
            return {k: self.settle(properties.get(k, "any"), wanted.get(k), v, f"{path}.{k}") for k, v in found.items()}
        if kind.startswith("[") and isinstance(wanted, list) and isinstance(found, list):
            return self._settle_list(kind, wanted, found, path)
        return wanted if self.same(kind, found, wanted, path) else found

    def _settle_list(self, kind: str, wanted: list[Any], found: list[Any], path: str) -> list[Any]:
        """Found items, in the order in which they are known."""
        inner, left, made = kind[1:-1], list(found), []
        if re.sub(r"\[\d+\]", "", path) in self.ordered:
            return [self.settle(inner, w, f, path) for w, f in zip(wanted, found, strict=False)] + found[len(wanted) :]
        for item in wanted:
            match = next((f for f in left if self.same(inner, f, item, path)), None)
            if match is not None:
                left.remove(match)
                made.append(self.settle(inner, item, match, path))
        return made + left


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
