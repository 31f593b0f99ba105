"""The Service Authorization Reference as it is kept, and our policies and tables against it: a misspelt action would allow nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import botocore.session
import pytest

import local.provider.resources
from infra import grants
from infra.boundary import boundary_document
from infra.config import load_all
from infra.documents import Statement
from infra.duties import KeyArns, permissions
from infra.naming import BucketPurpose, Duty, KeyPurpose, RepositoryPurpose
from infra.site import Site
from local.cloud.iam import keys, needs, reference
from local.cloud.iam.policy import wildcard
from local.cloud.s3.actions import action_of
from local.cloud.services import URL_TABLES
from local.provider.resource import Call, Read
from local.provider.resources import TABLE
from lockstep.bootstrap.identity import rights

STACKS = Path(__file__).resolve().parents[3] / "stacks"
KEY = "arn:aws:kms:us-east-1:222222222222:key/00000000-0000-0000-0000-000000000000"


def statements() -> Iterator[tuple[str, Statement]]:
    """Every statement that this project writes, with where it stands; of staging, which has a neighbour on either side."""
    stacks = load_all(STACKS)
    site = Site.of(stacks["staging"], stacks)
    arns = KeyArns(data=KEY, artefacts=KEY, ledger=KEY, operations=KEY)
    for duty in get_args(Duty):
        yield from ((f"duty {duty}", each) for each in permissions(site, duty, arns))
    documents = {f"bucket {purpose}": grants.bucket_policy(site, purpose) for purpose in get_args(BucketPurpose)}
    documents |= {f"key {purpose}": grants.key_policy(site, purpose) for purpose in get_args(KeyPurpose)}
    documents |= {f"repository {purpose}": grants.repository_policy(site, purpose) for purpose in get_args(RepositoryPurpose)}
    documents |= {"package group": grants.package_group_policy(site), "topic": grants.topic_policy(site)}
    documents |= {"boundary": boundary_document(site), "CI": json.dumps(rights(site.names))}
    for where, text in documents.items():
        yield from ((where, each) for each in json.loads(text)["Statement"])


STATEMENTS = list(statements())


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def general(key: str) -> str:
    """A condition key as the Reference has it: what follows a slash, or an encryption context's name, is the writer's."""
    for prefix in (*keys.MAPS, "aws:RequestTag/", "aws:ResourceTag/"):
        if key.startswith(prefix):
            return prefix
    return key


@pytest.mark.parametrize(("where", "statement"), STATEMENTS, ids=[f"{where}-{each['Sid']}" for where, each in STATEMENTS])
def test_a_statement_names_actions_and_keys_that_aws_has(where: str, statement: Statement) -> None:
    used = {general(key) for condition in statement.get("Condition", {}).values() for key in condition}
    assert used <= set(keys.MEMBERS) | set(keys.MAPS) | keys.ELSEWHERE, "a key that the embedded cloud does not fill"
    # Keys of a request are the action's own; those of caller, place and time belong to every action.
    own = {key for key in used if not key.startswith("aws:") or key in ("aws:TagKeys", "aws:RequestTag/", "aws:ResourceTag/")}
    # AWS's own sample of a key policy for logs asks for an encryption context where kms:DescribeKey has none.
    own -= {"kms:EncryptionContext:"} if statement["Sid"] == "LogsEncrypt" else set()
    for pattern in listed(statement["Action"]):
        assert any(wildcard(pattern.lower()).fullmatch(name.lower()) for name in reference.actions()), f"AWS has no action {pattern}"
        action = reference.action(pattern)
        assert "*" in pattern or (action is not None and own <= action.keys), f"{pattern} knows none of {own}"


@pytest.mark.parametrize(("where", "statement"), STATEMENTS, ids=[f"{where}-{each['Sid']}" for where, each in STATEMENTS])
def test_a_statement_on_some_resources_names_actions_that_have_resources(where: str, statement: Statement) -> None:
    """An action without resources is allowed by "*" alone: on anything else the statement does nothing."""
    if "*" in listed(statement.get("Resource", "*")) or statement["Effect"] == "Deny":
        return
    for name in listed(statement["Action"]):
        action = reference.action(name)
        assert action is not None
        assert action.required or action.optional, f"{name} can't be limited to resources"


def test_what_our_tables_name_exists() -> None:
    named = {
        f"{needs.PREFIXES.get(service, service)}:{short}" for (service, _, short) in (_parts(entry) for entry in needs.ACTIONS.items())
    }
    named |= {*needs.TAGS_TOO, *needs.TAGS_TOO.values(), *needs.NOBODY_ASKS}
    assert named <= set(reference.actions())
    known = {key for name in reference.actions() for key in (reference.action(name) or reference.Action((), (), frozenset(), ())).keys}
    assert set(keys.MEMBERS) | set(keys.MAPS) <= known
    services = {needs.PREFIXES.get(service, service) for service in URL_TABLES}
    assert services == set(reference.PREFIXES)


def _parts(entry: tuple[str, str]) -> tuple[str, str, str]:
    operation, short = entry
    return (*operation.split(":"), short)  # type: ignore[return-value]


def test_members_that_fill_arns_are_members_of_some_request() -> None:
    from local.cloud.iam.resources import MEMBERS

    session = botocore.session.get_session()
    for variable, members in MEMBERS.items():
        prefix = variable.partition(":")[0]
        model = session.get_service_model(prefix)
        shapes = [model.operation_model(name).input_shape for name in model.operation_names]
        known = {name.lower() for shape in shapes if shape is not None for name in shape.members}
        assert {member.lower() for member in members} <= known, variable


def test_every_operation_that_deploys_an_environment_has_its_action() -> None:
    """CI's role makes these calls, and who has no action would be refused."""
    made = {(kind.service, name) for kind in TABLE.values() for name in _operations(kind)}
    for source in Path(local.provider.resources.__file__).parent.glob("*.py"):
        made |= set(re.findall(r'api\.call\(\s*"([a-z0-9-]+)", "(\w+)"', source.read_text()))
    assert len(made) > 150
    actions = {action_of(name, False) if service == "s3" else needs.action_name(service, name) for service, name in made}
    assert sorted(actions - set(reference.actions()) - needs.NOBODY_ASKS) == []


def _operations(value: Any) -> Iterator[str]:
    if isinstance(value, (Call, Read)):
        yield value.operation
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _operations(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _operations(getattr(value, each.name))
