"""The JSON schema that editors read."""

from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from infra.config import schema
from tests.infra.rendering import PROJECT, STACKS

SCHEMA = PROJECT / "stacks" / schema.FILE_NAME


def test_the_committed_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema.render(), "run `lockstep schema`, and commit what it writes"


@pytest.mark.parametrize("stack", STACKS)
def test_shipped_stack_files_satisfy_it_and_name_it(stack: str) -> None:
    text = (PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json.loads(schema.render())).validate(yaml.safe_load(text))
    assert text.startswith(f"# yaml-language-server: $schema={schema.FILE_NAME}\n")


@pytest.mark.parametrize(
    ("group", "key", "value"), [("serving", "instanceCont", 2), ("serving", "instanceCount", 1), ("rollout", "strategy", "canary")]
)
def test_it_refuses_what_the_model_refuses(group: str, key: str, value: object) -> None:
    document = yaml.safe_load((PROJECT / "stacks" / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    document["config"]["lockstep:environment"][group][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(schema.render())).validate(document)
