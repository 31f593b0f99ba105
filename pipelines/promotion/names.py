"""Names that a promotion gives to what it makes: the same ones every time that it is run.

A run that was killed is resumed by another that knows nothing but the promotion's id, so every name is a function of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

MODEL_LIMIT = 63
"""Model, endpoint and endpoint config names: `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}` (SageMaker's API reference)."""

ALARM_LIMIT = 255

_PROMOTION = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,127}")

_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class ReleaseNames:
    """Names of all that one release makes. Model and endpoint config share a name, so each can be told from the other."""

    model: str
    endpoint_config: str
    error_alarm: str
    latency_alarm: str
    veto_alarm: str

    @property
    def alarms(self) -> tuple[str, str, str]:
        return (self.error_alarm, self.latency_alarm, self.veto_alarm)


def short_digest(*parts: str, length: int = 12) -> str:
    """First hex digits of a digest over the parts; parts are kept apart so that ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part.encode())
    return digest.hexdigest()[:length]


def fit(name: str, limit: int) -> str:
    """A name of allowed characters and at most `limit` of them; what is cut off is replaced by a digest of the whole."""
    clean = re.sub(r"-{2,}", "-", _NOT_ALLOWED.sub("-", name)).strip("-")
    if len(clean) <= limit:
        return clean
    tail = short_digest(name, length=8)
    return f"{clean[: limit - len(tail) - 1].rstrip('-')}-{tail}"


def promotion_id(*, environment: str, source_model_package_arn: str, attempt: int) -> str:
    """Id of the attempt to bring a package into an environment: `<environment>-<digest>-<attempt>`.

    Args:
        source_model_package_arn: the package in the environment that it comes from; its own for one that was trained here.
        attempt: 1 for the first; grows only after an attempt that ended without a release.
    """
    if attempt < 1:
        raise ValueError(f"attempts count from 1, not {attempt}")
    return f"{fit(environment, 30)}-{short_digest(environment, source_model_package_arn)}-{attempt}"


def is_promotion_id(text: str) -> bool:
    """Whether a text may name a promotion: in the journal and the ledger it stands beside keys of other kinds."""
    return _PROMOTION.fullmatch(text) is not None


def operation_id(*, environment: str, operation: str, ledger_number: int, model_package_arn: str, spec_digest: str) -> str:
    """Id of a redeploy, restore or rollback, which starts from what the ledger's newest entry says.

    A run that starts again before the ledger grew gets the same id, and so resumes.
    """
    digest = short_digest(environment, operation, str(ledger_number), model_package_arn, spec_digest)
    return f"{fit(environment, 30)}-{operation}-{ledger_number:04d}-{digest}"


def client_token(identifier: str) -> str:
    """A ClientRequestToken (32 to 128 characters) that is the same for every start of the same promotion."""
    return hashlib.sha256(identifier.encode()).hexdigest()


def release_names(prefix: str, identifier: str) -> ReleaseNames:
    """Names of the release that the promotion `identifier` makes. All start with `prefix`, by which cleaning finds them."""
    tail = short_digest(identifier)
    stem = f"{fit(prefix, MODEL_LIMIT - len(tail) - 1)}-{tail}"
    return ReleaseNames(
        model=stem,
        endpoint_config=stem,
        error_alarm=f"{stem}-errors",
        latency_alarm=f"{stem}-latency",
        veto_alarm=f"{stem}-veto",
    )


def name_prefix(prefix: str) -> str:
    """What names made by `release_names` start with; the longest form, so that a look-alike prefix is not swept up."""
    return f"{fit(prefix, MODEL_LIMIT - 13)}-"
