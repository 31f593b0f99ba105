"""One thing that bootstrap makes, and the plan of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["present", "absent", "differs"]


@dataclass(frozen=True)
class Item:
    """Something an account has or lacks.

    Attributes:
        name: of the resource, as AWS knows it.
        what: for a person, in a few words.
        look: says whether it is there and as wanted. Changes nothing.
        make: creates it, or brings it to what is wanted; doing so twice is doing it once.
    """

    name: str
    what: str
    look: Callable[[], State]
    make: Callable[[], None]


@dataclass(frozen=True)
class Planned:
    """An item, and how it was found."""

    item: Item
    found: State

    @property
    def action(self) -> str:
        return {"present": "keep", "absent": "create", "differs": "change"}[self.found]


def plan(items: list[Item]) -> list[Planned]:
    """How each item is found now."""
    return [Planned(item, item.look()) for item in items]
