"""Trust policies: who may assume a role."""

from __future__ import annotations

import json
from typing import Any

from local.cloud.accounts import Caller, existing_role
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate


def trust_policy(role_arn: str) -> dict[str, Any] | None:
    role = existing_role(role_arn)
    if role is None:
        return None
    document = role.assume_role_policy_document
    return dict(json.loads(document) if isinstance(document, str) else document)


def trusts_service(role_arn: str, service: str) -> bool:
    """Whether a service may take the role for itself."""
    account = role_arn.split(":")[4]
    return _allows(role_arn, Principal(service=service), {"aws:sourceaccount": account})


def trusts_caller(role_arn: str, caller: Caller, action: str = "sts:AssumeRole", context: dict[str, str] | None = None) -> bool:
    """Whether a caller may take the role."""
    return _allows(role_arn, Principal.of(caller), context or {}, action)


def _allows(role_arn: str, principal: Principal, context: dict[str, str], action: str = "sts:AssumeRole") -> bool:
    document = trust_policy(role_arn)
    if document is None:
        return False
    keys = {**principal.context(), "aws:securetransport": "true", **context}
    return evaluate([document], Question(principal=principal, action=action, resource=role_arn, context=keys), trust=True) is Verdict.ALLOW
