"""Which instance answers a request: an immutable table that is swapped whole, so that a shift of traffic has no gap."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Target(Protocol):
    """What the router needs of an instance."""

    @property
    def load(self) -> int:
        """Requests that it is working on."""


T = TypeVar("T", bound=Target)


@dataclass
class Pool(Generic[T]):
    """The instances of one variant that take traffic; each gets an equal share, so the share of a fleet is that of its instances."""

    weight: float
    targets: tuple[T, ...]
    least_outstanding: bool = False
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    def pick(self, tried: Iterable[T] = ()) -> T | None:
        """The next instance that was not tried yet."""
        if not self.targets:
            return None
        excluded = set(map(id, tried))
        if self.least_outstanding:
            free = [t for t in self.targets if id(t) not in excluded]
            return min(free, key=lambda t: t.load) if free else None
        start = next(self._turn)
        for offset in range(len(self.targets)):
            target = self.targets[(start + offset) % len(self.targets)]
            if id(target) not in excluded:
                return target
        return None


@dataclass(frozen=True)
class Table(Generic[T]):
    """A snapshot of an endpoint's routing: one pool per variant."""

    pools: Mapping[str, Pool[T]]

    def choose(self, variant: str | None = None) -> str | None:
        """The variant of a request: the one it names, or one by weight. None for an unknown name."""
        if variant is not None:
            return variant if variant in self.pools else None
        names = list(self.pools)
        if len(names) == 1:
            return names[0]
        weights = [self.pools[n].weight for n in names]
        return random.choices(names, weights)[0] if any(weights) else None
