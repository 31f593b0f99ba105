"""Which rights are used: what each role was asked for while rights were enforced, and what it was refused.

A rehearsal that went through every path says so which statements of a policy do work. `/_lockstep/rights` shows it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from local.cloud.accounts import Caller

if TYPE_CHECKING:
    from local.cloud.iam.needs import Need

KEPT = 50
"""Resources that are kept of each action; a job's name is a resource of its own."""


class Rights:
    """Used and refused rights of one cloud, by ARN of the role."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._refused: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def note(self, caller: Caller, need: Need, refused: str | None) -> None:
        """Keep that a right was asked for."""
        with self._lock:
            seen = (self._used if refused is None else self._refused)[caller.principal_arn][need.action]
            if len(seen) < KEPT:
                seen.add(need.resource)

    def describe(self) -> dict[str, dict[str, dict[str, list[str]]]]:
        """{"used": role -> action -> resources, "refused": the same}."""
        with self._lock:
            return {
                title: {role: {name: sorted(seen) for name, seen in sorted(found.items())} for role, found in sorted(kept.items())}
                for title, kept in (("used", self._used), ("refused", self._refused))
            }
