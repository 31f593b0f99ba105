"""What a principal's own policies let it do: identity policies, less what its permission boundary withholds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moto.iam.models import iam_backends

from local.cloud.accounts import Caller, existing_role
from local.cloud.iam.policy import Question, Verdict, evaluate

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """The policies that bind one role or user; no boundary means nothing is withheld."""

    policies: tuple[Document, ...]
    boundary: tuple[Document, ...] | None

    def sides(self, question: Question) -> tuple[Verdict, Verdict]:
        """What the policies say, and what the boundary says; where there is none, it allows."""
        own = evaluate(self.policies, question, identity=True)
        return own, Verdict.ALLOW if self.boundary is None else evaluate(self.boundary, question, identity=True)

    def verdict(
        self, question: Question, extra: Iterable[Document] = (), boundary: Iterable[Document] | None = None
    ) -> tuple[Verdict, bool | None]:
        """The decision, and whether the boundary (if any) allows. A deny in either denies; both must allow."""
        bound = tuple(boundary) if boundary is not None else self.boundary
        own, limit = Identity((*self.policies, *extra), bound).sides(question)
        if bound is None:
            return own, None
        if Verdict.DENY in (own, limit):
            return Verdict.DENY, limit is Verdict.ALLOW
        return (own if limit is Verdict.ALLOW else Verdict.SILENT), limit is Verdict.ALLOW


def identity_of(arn: str) -> Identity | None:
    """The policies of a role or user by ARN, or None where there is none of that ARN."""
    role: Any = existing_role(arn)
    if role is not None:
        documents = [_parsed(text) for text in role.policies.values()]
        documents += [_managed(policy.arn, role.account_id) for policy in role.managed_policies.values()]
        boundary = (_managed(role.permissions_boundary_arn, role.account_id),) if role.permissions_boundary_arn else None
        return Identity(tuple(documents), boundary)
    user = _user(arn)
    if user is None:
        return None
    documents = [_parsed(text) for text in user.policies.values()]
    documents += [_managed(policy.arn, user.account_id) for policy in user.managed_policies.values()]
    return Identity(tuple(documents), None)


def enforced(caller: Caller) -> Identity | None:
    """The policies that bind a caller; None for who is an administrator: an account's root, and a role that IAM does not keep."""
    return None if caller.is_root else identity_of(caller.principal_arn)


def _user(arn: str) -> Any:
    parts = arn.split(":")
    if len(parts) != 6 or not parts[5].startswith("user/"):
        return None
    return next((user for user in iam_backends[parts[4]]["aws"].users.values() if user.arn == arn), None)


def _managed(arn: str, account: str) -> Document:
    """The default version of a managed policy; a policy that is gone allows nothing."""
    found = iam_backends[account]["aws"].managed_policies.get(arn)
    if found is None:
        return {"Version": "2012-10-17", "Statement": []}
    version = next((version for version in found.versions if version.is_default), None)
    return _parsed(version.document if version is not None else found.document)


def _parsed(text: Any) -> Document:
    return _of_text(text) if isinstance(text, str) else dict(text)


@lru_cache(maxsize=1024)
def _of_text(text: str) -> Document:
    """Policies are read on every call, and seldom change. Nobody may change what this gives."""
    return dict(json.loads(text))
