"""The committed pipeline definitions and the toolkit image that they name: written, and checked for being current."""

from __future__ import annotations

import json
from pathlib import Path

from infra.errors import ConfigError
from lockstep.images import settings
from lockstep.images.sources import toolkit_image
from pipelines.definitions.compile import CompileError, compile_all

FOLDER = "pipelines/definitions"
TOOLKIT = f"{FOLDER}/toolkit.json"


def compile_files(root: Path) -> dict[str, str]:
    """Path relative to `root` -> text, of all that compiling gives.

    Raises:
        ConfigError: the SDK refused a definition.
    """
    try:
        texts = {f"{FOLDER}/{name}.json": text for name, text in compile_all().items()}
    except CompileError as error:
        raise ConfigError(f"the pipelines do not compile: {error}", where=FOLDER) from error
    return {**texts, TOOLKIT: toolkit_text(root)}


def toolkit_text(root: Path) -> str:
    """What toolkit.json should say for the present sources and the base that images.yaml names."""
    image = toolkit_image(root, base=settings.base_of(root))
    return json.dumps({"base": image.labels["dev.lockstep.base"], "digest": image.digest}, indent=2, sort_keys=True) + "\n"


def stale(root: Path, files: dict[str, str]) -> list[str]:
    """The paths whose committed text is missing or differs."""
    return [path for path, text in files.items() if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text]


def committed_toolkit_digest(root: Path) -> str:
    """The digest in toolkit.json. Raises ConfigError if there is none."""
    try:
        return str(json.loads((root / TOOLKIT).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError("the toolkit's digest can't be read", where=TOOLKIT, remedy="Run `lockstep pipeline compile`.") from error
