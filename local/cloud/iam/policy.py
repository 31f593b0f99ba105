"""Evaluates IAM policy documents: statements, principals, actions, resources, by the IAM user guide's "Policy evaluation logic"."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from local.cloud.accounts import Caller
from local.cloud.iam.conditions import Context, holds
from local.cloud.iam.variables import Unresolved, pattern_of


class Verdict(enum.Enum):
    """What a set of policies says to a question."""

    ALLOW = "allowed"
    """At least one statement allows and none denies."""
    DENY = "explicitDeny"
    """A statement denies; nothing overrides it."""
    SILENT = "implicitDeny"
    """No statement says anything."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an identity of an account, a service, a federated identity, or (all None) nobody known."""

    account_id: str | None = None
    arn: str | None = None
    session_arn: str | None = None
    user_id: str | None = None
    service: str | None = None
    federated: str | None = None
    source_identity: str | None = None

    @classmethod
    def of(cls, caller: Caller) -> Principal:
        return cls(
            account_id=caller.account_id,
            arn=caller.principal_arn,
            session_arn=caller.arn,
            user_id=caller.user_id,
            source_identity=caller.source_identity,
        )

    def context(self) -> dict[str, str]:
        """The condition keys that describe the principal, in lower case."""
        if self.service:
            return {"aws:principalservicename": self.service, "aws:principalisawsservice": "true"}
        keys = {"aws:principalisawsservice": "false"}
        if self.account_id and self.arn:
            kind = "Account" if self.arn.endswith(":root") else "AssumedRole" if ":role/" in self.arn else "User"
            keys |= {"aws:principalaccount": self.account_id, "aws:principalarn": self.arn, "aws:principaltype": kind}
            if kind == "User":
                keys["aws:username"] = self.arn.rsplit("/", 1)[-1]
        if self.user_id:
            keys["aws:userid"] = self.user_id
        if self.source_identity:
            keys["aws:sourceidentity"] = self.source_identity
        return keys


@dataclass(frozen=True, slots=True)
class Question:
    """May `principal` do `action` ("s3:GetObject") on `resource` (an ARN), given the context (lower-case condition keys)?"""

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)


def evaluate(
    documents: Iterable[Mapping[str, Any]], question: Question, *, identity: bool = False, trust: bool = False, accounts: bool = True
) -> Verdict:
    """What the documents together say.

    `identity`: they are policies of the principal itself, which name no principal; `trust`: a role's trust policy, which names no resource;
    `accounts`: whether a policy that names an account speaks of its principals, or (False) leaves them to policies of their own.
    """
    verdict = Verdict.SILENT
    for document in documents:
        variables = document.get("Version") == "2012-10-17"
        for statement in _list(document.get("Statement", [])):
            if not _applies(statement, question, variables, identity, trust, accounts):
                continue
            if statement.get("Effect") == "Deny":
                return Verdict.DENY
            verdict = Verdict.ALLOW
    return verdict


def _applies(statement: Mapping[str, Any], question: Question, variables: bool, identity: bool, trust: bool, accounts: bool = True) -> bool:
    return (
        (identity or _principal_matches(statement, question.principal, accounts))
        and _action_matches(statement, question.action)
        and (trust or _resource_matches(statement, question, variables))
        and holds(statement.get("Condition", {}), question.context, variables)
    )


def _principal_matches(statement: Mapping[str, Any], principal: Principal, accounts: bool) -> bool:
    if "NotPrincipal" in statement:
        return not _named(statement["NotPrincipal"], principal, True)
    return "Principal" in statement and _named(statement["Principal"], principal, accounts)


def _named(names: Any, principal: Principal, accounts: bool) -> bool:
    if names == "*":
        return True
    if not isinstance(names, Mapping):
        return False
    if any(_aws_name_matches(name, principal, accounts) for name in _list(names.get("AWS", []))):
        return True
    if principal.service and principal.service in _list(names.get("Service", [])):
        return True
    return bool(principal.federated and principal.federated in _list(names.get("Federated", [])))


def _aws_name_matches(name: str, principal: Principal, accounts: bool) -> bool:
    if name == "*":
        return principal.service is None
    if principal.account_id is None:
        return False
    if name in (principal.account_id, f"arn:aws:iam::{principal.account_id}:root"):
        return accounts or principal.arn == f"arn:aws:iam::{principal.account_id}:root"
    return name in (principal.arn, principal.session_arn)


def _action_matches(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(wildcard(pattern.lower()).fullmatch(action.lower()) for pattern in _list(statement["NotAction"]))
    return any(wildcard(pattern.lower()).fullmatch(action.lower()) for pattern in _list(statement.get("Action", [])))


def _resource_matches(statement: Mapping[str, Any], question: Question, variables: bool) -> bool:
    if "NotResource" in statement:
        return not any(_resource_is(pattern, question, variables) for pattern in _list(statement["NotResource"]))
    if "Resource" not in statement:  # policies of ECR repositories name no resource: theirs is understood
        return True
    return any(_resource_is(pattern, question, variables) for pattern in _list(statement["Resource"]))


def _resource_is(pattern: str, question: Question, variables: bool) -> bool:
    try:
        return pattern_of(pattern, question.context, variables).fullmatch(question.resource) is not None
    except Unresolved:
        return False


@lru_cache(maxsize=4096)
def wildcard(text: str) -> re.Pattern[str]:
    """A pattern in which * stands for any text and ? for one character."""
    return re.compile("".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in text), re.DOTALL)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
