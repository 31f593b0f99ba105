"""Policy variables: ${aws:PrincipalArn}, ${aws:username, 'nobody'}, and the escapes ${*} ${?} ${$}."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Unresolved(Exception):
    """A variable has no value in this request; what contains it matches nothing."""


def pattern_of(text: str, context: Mapping[str, str | list[str]], variables: bool) -> re.Pattern[str]:
    """The regular expression for a policy's text: wildcards stay wildcards, values of variables are literal."""
    return re.compile("".join(_parts(text, context, variables, wildcards=True)), re.DOTALL)


def literal(text: str, context: Mapping[str, str | list[str]], variables: bool) -> str:
    """The text with its variables filled in and nothing else changed."""
    if not variables:
        return text
    return _VARIABLE.sub(lambda found: _value(found[1], context), text)


def _parts(text: str, context: Mapping[str, str | list[str]], variables: bool, wildcards: bool) -> list[str]:
    parts: list[str] = []
    position = 0
    for found in _VARIABLE.finditer(text) if variables else ():
        parts.append(_wild(text[position : found.start()]))
        parts.append(re.escape(_value(found[1], context)))
        position = found.end()
    parts.append(_wild(text[position:]))
    return parts


def _wild(text: str) -> str:
    return "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in text)


def _value(name: str, context: Mapping[str, str | list[str]]) -> str:
    if name in ("*", "?", "$"):
        return name
    key, _, default = name.partition(",")
    found = context.get(key.strip().lower())
    if isinstance(found, str):
        return found
    if default:
        return default.strip().strip("'")
    raise Unresolved(name)
