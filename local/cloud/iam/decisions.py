"""Decisions about a call on a resource: by the resource's policy, in the owner's account or from another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.cloud.accounts import Caller
from local.cloud.aws_errors import CloudError
from local.cloud.dispatch.call import Call
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate


def parse(policy: Any) -> dict[str, Any] | None:
    """A policy document from what a backend keeps: text, bytes, a dict, or nothing."""
    if not policy:
        return None
    if isinstance(policy, bytes):
        policy = policy.decode()
    return json.loads(policy) if isinstance(policy, str) else dict(policy)


def context_of(call: Call, owner: str, extra: Mapping[str, str] | None = None) -> dict[str, str | list[str]]:
    """The condition keys of a call. Loopback stands for TLS."""
    return {
        **Principal.of(call.caller).context(),
        "aws:securetransport": "true",
        "aws:requestedregion": call.region,
        "aws:resourceaccount": owner,
        "aws:sourceip": "127.0.0.1",
        **_clock_keys(),
        **(extra or {}),
    }


def _clock_keys() -> dict[str, str]:
    from local.cloud import context

    clock = context.current().clock
    return {"aws:currenttime": clock.now().isoformat(), "aws:epochtime": str(int(clock.time()))}


def decide(call: Call, policy: Any, owner: str, action: str, resource: str, extra: Mapping[str, str] | None = None) -> Verdict:
    """What a resource's policy says to the caller of `call`."""
    document = parse(policy)
    if document is None:
        return Verdict.SILENT
    return evaluate([document], Question(Principal.of(call.caller), action, resource, context_of(call, owner, extra)))


def admit(call: Call, policy: Any, owner: str, action: str, resource: str, code: str, extra: Mapping[str, str] | None = None) -> None:
    """Let the call act in the owner's account, or raise `code`: a deny counts for all, callers of other accounts need an allow."""
    verdict = decide(call, policy, owner, action, resource, extra)
    if verdict is Verdict.DENY:
        raise denied(call.caller, action, resource, code, "with an explicit deny in a resource-based policy")
    if call.caller.account_id != owner and verdict is not Verdict.ALLOW:
        raise denied(call.caller, action, resource, code, f"because no resource-based policy allows the {action} action")
    call.act_in(owner)


def denied(caller: Caller, action: str, resource: str, code: str, reason: str) -> CloudError:
    status = 403 if code == "AccessDenied" else 400
    return CloudError(code, f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} {reason}", status)
