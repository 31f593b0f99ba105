"""What a field of the config promises across environments.

Every field that holds a value carries exactly one mark in its annotation. A field that decides which resources
exist is Same; a field that Varies changes property values alone. `infra.config.checks.check_same` enforces it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Same:
    """Must be equal in every environment.

    Args:
        count_only: the values may differ and the number of entries may not (subnets: one resource each).
    """

    count_only: bool = False


@dataclass(frozen=True)
class Varies:
    """May differ from environment to environment."""


SAME = Same()
SAME_COUNT = Same(count_only=True)
VARIES = Varies()
