"""STS: who am I, and credentials for roles. The roles' trust policies decide; limits are those of the API reference."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.sts.responses import TokenResponse

from local.cloud import context
from local.cloud.accounts import MANAGEMENT_ACCOUNT, ORGANIZATION_ROLE, Caller, Credentials, role_session
from local.cloud.aws_errors import CloudError, not_implemented
from local.cloud.sts.trust import trusts_caller

_ROLE_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/(?P<path>[\w+=,.@/-]+)")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
SHORTEST, LONGEST = 900, 43200  # seconds


class StsResponse(TokenResponse):
    """Sessions are kept by the cloud's accounts, not in moto's backend."""

    def get_caller_identity(self) -> ActionResult:
        caller = context.caller()
        return ActionResult({"UserId": caller.user_id, "Account": caller.account_id, "Arn": caller.arn})

    def assume_role(self) -> ActionResult:
        role_arn = str(self._get_param("RoleArn"))
        session_name = str(self._get_param("RoleSessionName"))
        duration = self._get_int_param("DurationSeconds", 3600)
        found = _ROLE_ARN.fullmatch(role_arn)
        if found is None:
            raise CloudError("ValidationError", f"{role_arn} is invalid")
        if not _SESSION_NAME.fullmatch(session_name):
            raise CloudError(
                "ValidationError",
                f"1 validation error detected: Value '{session_name}' at 'roleSessionName' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\w+=,.@-]*",
            )
        if self._get_param("Policy") or self._get_param("PolicyArns"):
            raise not_implemented("sts", "AssumeRole with a session policy")  # a session would have more rights than was asked for
        if not SHORTEST <= duration <= LONGEST:
            raise CloudError("ValidationError", f"The requested DurationSeconds must be between {SHORTEST} and {LONGEST}.")
        caller = context.caller()
        if not _may_assume(caller, found["account"], role_arn, self._get_param("ExternalId")):
            raise denied(caller, "sts:AssumeRole", role_arn)
        source = _source_identity(caller, role_arn, self._get_param("SourceIdentity"))
        made = context.current().accounts.mint(role_session(role_arn, session_name, source_identity=source), duration)
        answer = {"Credentials": _shape(made), "AssumedRoleUser": {"AssumedRoleId": made.caller.user_id, "Arn": made.caller.arn}}
        return ActionResult({**answer, "SourceIdentity": source} if source else answer)

    def get_session_token(self) -> ActionResult:
        duration = self._get_int_param("DurationSeconds", LONGEST)
        return ActionResult({"Credentials": _shape(context.current().accounts.mint(context.caller(), duration))})

    def assume_role_with_web_identity(self) -> ActionResult:
        raise not_implemented("sts", "AssumeRoleWithWebIdentity")

    def assume_role_with_saml(self) -> ActionResult:
        raise not_implemented("sts", "AssumeRoleWithSAML")

    def get_federation_token(self) -> ActionResult:
        raise not_implemented("sts", "GetFederationToken")


def _source_identity(caller: Caller, role_arn: str, given: str | None) -> str | None:
    """Once a session has one, all that come from it keep it; to give one, the role's trust policy must allow it (API reference)."""
    if given and not _SESSION_NAME.fullmatch(given):
        raise CloudError(
            "ValidationError", f"1 validation error detected: Value '{given}' at 'sourceIdentity' failed to satisfy constraint"
        )
    kept = caller.source_identity
    if given and (kept not in (None, given) or not trusts_caller(role_arn, caller, "sts:SetSourceIdentity")):
        raise denied(caller, "sts:SetSourceIdentity", role_arn)
    return kept or given


def _may_assume(caller: Caller, account: str, role_arn: str, external_id: str | None) -> bool:
    """The organisation's management account reaches every member account by the role that AWS Organizations makes in it."""
    if role_arn.endswith(f":role/{ORGANIZATION_ROLE}") and caller.account_id in (MANAGEMENT_ACCOUNT, account):
        return True
    return trusts_caller(role_arn, caller, context={"sts:externalid": external_id} if external_id else None)


def _shape(made: Credentials) -> dict[str, Any]:
    expires: datetime | None = made.expires
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": made.session_token,
        "Expiration": expires,
    }


def denied(caller: Caller, action: str, resource: str) -> CloudError:
    return CloudError("AccessDenied", f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource}", 403)
