"""Names for resources that the program leaves nameless, as the bridge makes them: the logical name and seven hexadecimal digits."""

from __future__ import annotations

import hashlib
import secrets

from local.provider.errors import ProviderError
from local.provider.resource import AutoName

_DIGITS = 7


def unique(rule: AutoName, logical: str, seed: bytes, *, prefix: str | None = None) -> str:
    """A name of at most the longest length allowed; the same seed gives the same name. Raises ProviderError if none fits."""
    if rule.lower:
        logical = logical.lower()
    start = prefix if prefix is not None else f"{rule.start}{logical}-"
    if len(start) + _DIGITS > rule.longest:
        raise ProviderError(f"failed to make a name for {rule.property}: {start!r} and {_DIGITS} digits exceed {rule.longest} characters")
    digits = hashlib.sha256(seed + start.encode()).hexdigest() if seed else secrets.token_hex(_DIGITS)
    return start + digits[:_DIGITS]
