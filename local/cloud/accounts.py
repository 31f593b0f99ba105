"""Who calls: credentials, the accounts they belong to, and the roles they were made for.

A fresh cloud knows one pair of keys, of the management account, as a fresh AWS organisation does; everything else comes from STS.
"""

from __future__ import annotations

import re
import secrets
import string
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends

from local.cloud.aws_errors import CloudError
from local.cloud.clock import Clock

MANAGEMENT_ACCOUNT = "000000000000"
BOOTSTRAP_ACCESS_KEY = "AKIALOCKSTEPLOCALKEY"
BOOTSTRAP_SECRET_KEY = "embedded-cloud-has-no-secrets"
ORGANIZATION_ROLE = "OrganizationAccountAccessRole"

_KEY = re.compile(r"Credential=(?P<key>[^/,\s]+)/(?P<scope>[^,\s]+)")


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal of a call.

    `arn` is what GetCallerIdentity says (a session's ARN for a role); `principal_arn` is what aws:PrincipalArn holds (the role's own ARN).
    `service` is set when an AWS service acts for itself; `source_identity` is what a session was given when it was made.
    """

    account_id: str
    arn: str
    principal_arn: str
    user_id: str
    service: str | None = None
    source_identity: str | None = None

    @property
    def is_root(self) -> bool:
        return self.principal_arn.endswith(":root")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of a session; `expires` is cloud time, None for what a service refreshes by itself."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: datetime | None
    caller: Caller

    def environment(self) -> dict[str, str]:
        """The standard variables by which every SDK finds them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    until: float | None


class Accounts:
    """The credentials that this cloud has given out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, _Known] = {BOOTSTRAP_ACCESS_KEY: _Known(root_of(MANAGEMENT_ACCOUNT), None)}

    def mint(self, caller: Caller, duration: int | None) -> Credentials:
        """New credentials of `caller` for `duration` seconds; None for ones that do not expire while the cloud runs."""
        key = "ASIA" + _random(16)
        expires = None if duration is None else datetime.fromtimestamp(self._clock.time() + duration, UTC)
        until = None if duration is None else self._clock.unscaled() + duration
        with self._lock:
            self._keys[key] = _Known(caller, until)
        return Credentials(key, secrets.token_urlsafe(30), secrets.token_urlsafe(90), expires, caller)

    def resolve(self, access_key: str) -> Caller:
        """The caller of an access key; CloudError where AWS would refuse it."""
        with self._lock:
            known = self._keys.get(access_key)
        if known is None:
            user = _iam_user(access_key)
            if user is not None:
                return user
            raise CloudError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        if known.until is not None and self._clock.unscaled() >= known.until:
            raise CloudError("ExpiredToken", "The security token included in the request is expired", 403)
        return known.caller


def root_of(account_id: str) -> Caller:
    arn = f"arn:aws:iam::{account_id}:root"
    return Caller(account_id, arn, arn, account_id)


def role_session(role_arn: str, session_name: str, service: str | None = None, source_identity: str | None = None) -> Caller:
    """The caller that a session of a role is."""
    account_id = role_arn.split(":")[4]
    role_name = role_arn.rsplit("/", 1)[-1]
    role = existing_role(role_arn)
    role_id = str(role.id) if role is not None else "AROA" + _stable(role_arn)
    arn = f"arn:aws:sts::{account_id}:assumed-role/{role_name}/{session_name}"
    return Caller(account_id, arn, role_arn, f"{role_id}:{session_name}", service, source_identity)


def existing_role(role_arn: str) -> Any:
    """moto's role of that ARN, or None. Only an ARN that matches path and name counts."""
    parts = role_arn.split(":")
    if len(parts) != 6 or not parts[5].startswith("role/") or not re.fullmatch(r"\d{12}", parts[4]):
        return None
    for role in list(iam_backends[parts[4]]["aws"].roles.values()):
        if role.arn == role_arn:
            return role
    return None


def credential_scope(authorization: str) -> tuple[str, str, str] | None:
    """Access key, region and signing name of a version 4 signature, or None."""
    found = _KEY.search(authorization)
    if found is None:
        return None
    parts = found["scope"].split("/")
    if len(parts) != 4:
        return None
    return found["key"], parts[1], parts[2].lower()


def _iam_user(access_key: str) -> Caller | None:
    for account_id, account in list(iam_backends.items()):
        if access_key in account["aws"].access_keys:
            user = account["aws"].get_user_from_access_key_id(access_key)
            if user is not None:
                return Caller(account_id, user.arn, user.arn, user.id)
    return None


def _random(length: int) -> str:
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length))


def _stable(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest().upper()[:17]
