"""Decisions: what a caller's own policies, its boundary and the resource's policy come to, and AWS's words where they come to no.

By the IAM user guide, "Policy evaluation logic". A deny anywhere denies. Within an account either side's allow is enough, except that a
policy which names the account, and not the caller, leaves it to the caller's own; a key's policy must always allow; a boundary limits.
From another account both sides must allow.
"""

from __future__ import annotations

import json
from typing import Any

from local.cloud.accounts import Caller
from local.cloud.aws_errors import CloudError
from local.cloud.iam.identity import Identity
from local.cloud.iam.keys import Keys
from local.cloud.iam.needs import Need, Rule
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate

_CODES = {"ec2": "UnauthorizedOperation", "sns": "AuthorizationError"}
_QUERY = frozenset({"cloudwatch", "iam", "s3", "sqs", "sts"})
_REST = frozenset({"sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics"})


def parse(policy: Any) -> dict[str, Any] | None:
    """A policy document from what a backend keeps: text, bytes, a dict, or nothing."""
    if not policy:
        return None
    if isinstance(policy, bytes):
        policy = policy.decode()
    return json.loads(policy) if isinstance(policy, str) else dict(policy)


def context_of(caller: Caller, region: str, need: Need) -> Keys:
    """The condition keys of a call. Loopback stands for TLS."""
    from local.cloud import context

    clock = context.current().clock
    return {
        **Principal.of(caller).context(),
        "aws:securetransport": "true",
        "aws:requestedregion": region,
        "aws:resourceaccount": need.owner,
        "aws:sourceip": "127.0.0.1",
        "aws:currenttime": clock.now().isoformat(),
        "aws:epochtime": str(int(clock.time())),
        **need.keys,
    }


def refusal(caller: Caller, region: str, need: Need, identity: Identity | None) -> str | None:
    """Why the caller may not, in AWS's words; None where it may. `identity` None: an administrator, whose own policies allow all."""
    question = Question(Principal.of(caller), need.action, need.resource, context_of(caller, region, need))
    document = parse(need.policy)
    trust = need.rule is Rule.TRUST
    theirs = evaluate([document], question, trust=trust) if document is not None else Verdict.SILENT
    own, bound = identity.sides(question) if identity is not None else (Verdict.ALLOW, Verdict.ALLOW)
    for verdict, kind in ((own, "an identity-based policy"), (bound, "a permissions boundary"), (theirs, "a resource-based policy")):
        if verdict is Verdict.DENY:
            return f"with an explicit deny in {kind}"
    allows = f"allows the {need.action} action"
    at_home = caller.account_id == need.owner
    named = at_home and document is not None and theirs is Verdict.ALLOW and _names(document, question, trust)
    if own is not Verdict.ALLOW and not named:
        return f"because no identity-based policy {allows}"
    if bound is not Verdict.ALLOW:
        return f"because no permissions boundary {allows}"
    resource_must = not at_home or (need.rule is Rule.KEY and identity is not None)
    return f"because no resource-based policy {allows}" if resource_must and theirs is not Verdict.ALLOW else None


def _names(document: dict[str, Any], question: Question, trust: bool) -> bool:
    """Whether a policy allows the caller itself, not only its account."""
    return evaluate([document], question, trust=trust, accounts=False) is Verdict.ALLOW


def denied(service: str, caller: Caller, need: Need, reason: str) -> CloudError:
    """The error of a service, with its own code: User ... is not authorized to perform ... on resource ... because ..."""
    resource = f'"{need.resource}"' if need.action.startswith("s3:") else need.resource
    text = f"User: {caller.arn} is not authorized to perform: {need.action} on resource: {resource} {reason}"
    if service == "ec2":
        text = f"You are not authorized to perform this operation. {text}"
    code = _CODES.get(service) or ("AccessDenied" if service in _QUERY else "AccessDeniedException")
    return CloudError(code, text, 400 if code == "AccessDeniedException" and service not in _REST else 403)
