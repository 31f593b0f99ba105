"""Rights asked about without a call: by services that act for a role, and where the dispatcher is passed by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from local.cloud.accounts import Caller, role_session
from local.cloud.iam.decisions import denied, refusal
from local.cloud.iam.identity import enforced, identity_of
from local.cloud.iam.needs import Need
from local.cloud.iam.owners import policy_of

if TYPE_CHECKING:
    from local.cloud.context import Cloud


def check_right(cloud: Cloud, caller: Caller, region: str, action: str, resource: str) -> None:
    """Raise SageMaker's own error where the caller may not do `action` on a resource of its account ("endpoint/NAME")."""
    identity = enforced(caller) if cloud.enforce_iam else None
    if identity is None:
        return
    need = Need(action, f"arn:aws:sagemaker:{region}:{caller.account_id}:{resource}", caller.account_id)
    reason = refusal(caller, region, need, identity)
    cloud.rights.note(caller, need, reason)
    if reason is not None:
        raise denied("sagemaker-runtime", caller, need, reason)


def lacks(cloud: Cloud, role_arn: str, region: str, need: Need) -> str | None:
    """Why a role may not what a service does for it, as AWS words it; None where it may, or where nothing is enforced."""
    identity = identity_of(role_arn) if cloud.enforce_iam else None
    if identity is None:
        return None
    caller = role_session(role_arn, "SageMaker")
    reason = refusal(caller, region, need, identity)
    cloud.rights.note(caller, need, reason)
    return None if reason is None else denied("", caller, need, reason).message


def simple(action: str, resource: str, account: str, keys: Mapping[str, str] | None = None) -> Need:
    """A need about a resource, its own policy included."""
    return Need(action, resource, account, dict(keys or {}), policy_of(resource))
