"""Fills a compiled pipeline definition with the values of an environment.

The definitions are JSON files that know no environment; where a value belongs stands a token, `${lockstep:name}`.
A string that is nothing but a token becomes the value, a text or a list; a list that holds nothing but such a string
becomes the list; a token inside a longer string is replaced by its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from infra.errors import ConfigError
from infra.naming import PipelineKind
from infra.serving_spec import has_local_storage

Values = Mapping[str, str | Sequence[str]]
FOLDER = Path("pipelines") / "definitions"
TOKENS = (
    "artefacts_kms_key",
    "artefacts_uri",
    "data_uri",
    "environment",
    "jobs_kms_key",
    "jobs_security_group_ids",
    "model_package_group",
    "outputs_uri",
    "processing_instance_type",
    "role_jobs",
    "role_promotion",
    "subnet_ids",
    "toolkit_image",
    "training_instance_type",
    "workload",
)
_TOKEN = re.compile(r"\$\{lockstep:([^}]*)\}")
_REMEDY = "Run `lockstep pipeline compile`, and commit what it writes."


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What was compiled ahead of time.

    Args:
        texts: pipeline -> JSON text with tokens.
        toolkit_digest: digest of the toolkit image that the definitions belong to.
    """

    texts: Mapping[PipelineKind, str]
    toolkit_digest: str

    def filled(self, kind: PipelineKind, values: Values) -> str:
        """One definition with the values of an environment; see `fill`."""
        return fill(self.texts[kind], values, where=_where(kind))


def load(project: Path) -> Compiled:
    """Reads all that was compiled, so that what is missing or stale fails before any resource is planned.

    Args:
        project: the root of the checkout.

    Raises:
        ConfigError: a file is missing, is not JSON, names no digest, or has a token that no environment fills.
    """
    texts = {kind: _read(project, f"{kind}.json") for kind in get_args(PipelineKind)}
    for kind, text in texts.items():
        fill(text, dict.fromkeys(TOKENS, ""), where=_where(kind))
    return Compiled(texts=texts, toolkit_digest=_toolkit_digest(project))


def _where(kind: PipelineKind) -> str:
    return str(FOLDER / f"{kind}.json")


def _read(project: Path, name: str) -> str:
    try:
        return (project / FOLDER / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("this compiled definition is missing", where=str(FOLDER / name), remedy=_REMEDY) from None


def _toolkit_digest(project: Path) -> str:
    text, where = _read(project, "toolkit.json"), str(FOLDER / "toolkit.json")
    try:
        digest = json.loads(text)["digest"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError("this file names no digest", where=where, remedy=_REMEDY) from None
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", str(digest)):
        raise ConfigError(f"found {digest!r}, expected sha256: and 64 hex digits", where=f"{where}, digest", remedy=_REMEDY)
    return str(digest)


def fill(definition: str, values: Values, *, where: str) -> str:
    """Replaces each token of a definition.

    Args:
        definition: the JSON text of a compiled definition.
        values: token name -> text, or list of texts.
        where: the definition's file, for messages.

    Returns:
        JSON text with sorted keys and no needless space: same values, same bytes.

    Raises:
        ConfigError: the text is not JSON, a token has no value, or a list stands inside a longer text.
    """
    try:
        document = json.loads(definition)
    except ValueError as error:
        raise ConfigError(f"this is not JSON: {error}", where=where, remedy=_REMEDY) from None
    return json.dumps(_as_machines_take_it(_filled(document, values, where)), sort_keys=True, separators=(",", ":"))


def _as_machines_take_it(node: Any) -> Any:
    """Without the volume keys of machines whose storage is local, for which the API refuses one: the hardware encrypts it."""
    if isinstance(node, list):
        return [_as_machines_take_it(each) for each in node]
    if not isinstance(node, dict):
        return node
    local = isinstance(node.get("InstanceType"), str) and has_local_storage(node["InstanceType"])
    return {key: _as_machines_take_it(value) for key, value in node.items() if not (local and key == "VolumeKmsKeyId")}


def _filled(node: Any, values: Values, where: str) -> Any:
    if isinstance(node, dict):
        return {_text(key, values, where): _filled(value, values, where) for key, value in node.items()}
    if isinstance(node, list):
        items = [_filled(item, values, where) for item in node]
        return items[0] if len(items) == 1 and isinstance(items[0], list) and _is_token(node[0]) else items
    if not isinstance(node, str):
        return node
    if _is_token(node):
        value = _value(node, values, where)
        return value if isinstance(value, str) else list(value)
    return _text(node, values, where)


def _is_token(node: Any) -> bool:
    return isinstance(node, str) and _TOKEN.fullmatch(node) is not None


def _text(text: str, values: Values, where: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        value = _value(match.group(0), values, where)
        if isinstance(value, str):
            return value
        raise ConfigError(f"{match.group(0)} is a list and stands inside a longer text", where=where, remedy=_REMEDY)

    return _TOKEN.sub(replaced, text)


def _value(token: str, values: Values, where: str) -> str | Sequence[str]:
    name = token.removeprefix("${lockstep:").removesuffix("}")
    if name in values:
        return values[name]
    near = get_close_matches(name, values, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(values))}"
    raise ConfigError(f"no environment has a value for {token}; {known}", where=where, remedy=_REMEDY)
