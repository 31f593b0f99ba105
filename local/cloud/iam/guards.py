"""The guard before the handlers: no call goes on that its caller may not make.

With enforcement on, everybody whom IAM keeps is asked for everything that a call needs. Administrators (an account's root, the
organisation's role) and, with enforcement off, all others are bound by the policies of resources alone.
"""

from __future__ import annotations

from local.cloud.aws_errors import CloudError, not_implemented
from local.cloud.context import Cloud
from local.cloud.dispatch.call import Call
from local.cloud.iam.decisions import denied, refusal
from local.cloud.iam.identity import Identity, enforced
from local.cloud.iam.needs import Need, UnknownOperation, needs_of
from local.cloud.iam.reference import action
from local.cloud.s3.access import absence_need

# Services whose resources have policies that let other accounts in; a call that is let in works on the owner's state.
SHARED = frozenset({"ecr", "kms", "s3", "sagemaker"})


def install(cloud: Cloud) -> None:
    cloud.guards.append(lambda call: guard(cloud, call))


def guard(cloud: Cloud, call: Call) -> None:
    """Refuse a call with AWS's error, or let it act in the account of what it is about."""
    identity = enforced(call.caller) if cloud.enforce_iam else None
    if identity is None and call.service not in SHARED:
        return
    try:
        needs = needs_of(call)
    except UnknownOperation:
        if identity is None:
            return
        needs = None
    if needs is None or (identity is not None and any(action(need.action) is None for need in needs)):
        # Whether a role may do what no action is known for, nobody can say.
        raise not_implemented(call.service, f"{call.operation}, authorised by an action that AWS does not name: it")
    for need in needs:
        ask(cloud, call, need, identity)
    if call.service == "s3" and (identity is not None or (needs and needs[0].owner != call.caller.account_id)):
        absent = absence_need(call)
        if absent is not None:
            ask(cloud, call, absent, identity)
    if needs and call.service in SHARED:
        call.act_in(needs[0].owner)


def ask(cloud: Cloud, call: Call, need: Need, identity: Identity | None) -> None:
    """Let one need pass, or raise."""
    if need.action == "iam:PassRole" and need.owner != call.caller.account_id:
        if identity is None:
            return  # the handler refuses it
        raise CloudError("AccessDeniedException", "Cross-account pass role is not allowed.", 400)
    reason = refusal(call.caller, call.region, need, identity)
    if identity is not None:
        cloud.rights.note(call.caller, need, reason)
    if reason is not None:
        raise denied(call.service, call.caller, need, reason)
