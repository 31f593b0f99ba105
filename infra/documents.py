"""Policy documents: the same statements always give the same text, so that a preview shows real changes alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

Statement = dict[str, Any]
Condition = dict[str, dict[str, Any]]

EVERYONE: dict[str, Any] = {"AWS": "*"}


def statement(
    sid: str,
    actions: Sequence[str],
    resources: str | Sequence[str] | None = "*",
    *,
    effect: str = "Allow",
    principal: Any = None,
    condition: Condition | None = None,
) -> Statement:
    """One statement.

    Args:
        sid: what it is for, in CamelCase.
        actions: names of actions.
        resources: ARNs or patterns; None where a policy has no such element (ECR repositories, trust policies).
        effect: Allow or Deny.
        principal: who, in policies of resources and trust policies.
        condition: operator -> key -> value.
    """
    made: Statement = {"Sid": sid, "Effect": effect}
    if principal is not None:
        made["Principal"] = principal
    made["Action"] = actions[0] if len(actions) == 1 else list(actions)
    if resources is not None:
        made["Resource"] = resources if isinstance(resources, str) or len(resources) != 1 else resources[0]
    if condition:
        made["Condition"] = condition
    return made


def deny(sid: str, actions: Sequence[str], resources: str | Sequence[str] | None = "*", **others: Any) -> Statement:
    """A statement that denies."""
    return statement(sid, actions, resources, effect="Deny", **others)


def deny_without_tls(service: str, resources: str | Sequence[str] | None) -> Statement:
    """Nobody may call without TLS. It is the whole policy of a resource that nobody else may read."""
    return deny("DenyWithoutTls", [f"{service}:*"], resources, principal="*", condition={"Bool": {"aws:SecureTransport": "false"}})


def service_principal(name: str) -> dict[str, str]:
    """An AWS service as principal."""
    return {"Service": f"{name}.amazonaws.com"}


def document(statements: Iterable[Statement]) -> str:
    """The JSON text of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))
