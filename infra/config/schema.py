"""The JSON schema of stack files, for editors: completion, and faults shown while typing."""

from __future__ import annotations

import json
from typing import Any

from infra.config.load import CONFIG_KEY
from infra.config.model import EnvironmentConfig

FILE_NAME = "environment.schema.json"


def render() -> str:
    """The text of `stacks/environment.schema.json`, made from the model: same model, same bytes."""
    model = EnvironmentConfig.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = model.pop("$defs")
    definitions["EnvironmentConfig"] = model
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of one environment",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": [CONFIG_KEY],
                "properties": {CONFIG_KEY: {"$ref": "#/$defs/EnvironmentConfig"}},
                "patternProperties": {"^pulumi:": {}},
                "additionalProperties": False,
            },
            "encryptionsalt": {"type": "string"},
            "encryptedkey": {"type": "string"},
            "secretsprovider": {"type": "string"},
        },
        "additionalProperties": False,
        "$defs": definitions,
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
