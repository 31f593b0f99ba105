"""What all components of one environment need to know: its config, its names, and those of its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.config import EnvironmentConfig, Stack
from infra.naming import PROJECT, Names


@dataclass(frozen=True, kw_only=True)
class Site:
    """One environment in its promotion chain.

    Args:
        config: its stack file.
        names: its names.
        source: names of the environment that it admits candidates from; None at the chain's start.
        target: names of the environment that may read its candidates; None at the chain's end.
    """

    config: EnvironmentConfig
    names: Names
    source: Names | None
    target: Names | None

    @classmethod
    def of(cls, stack: Stack, everyone: Mapping[str, Stack]) -> Site:
        """The site of a checked stack among all stacks."""

        def neighbour(name: str | None) -> Names | None:
            return Names.of(everyone[name]) if name is not None else None

        chain = stack.config.chain
        return cls(config=stack.config, names=Names.of(stack), source=neighbour(chain.from_), target=neighbour(chain.to))

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource that takes tags."""
        return {
            "environment": self.names.environment,
            "project": PROJECT,
            "owner": self.config.owner,
            "cost-center": self.config.cost_center,
            "managed-by": "pulumi",
        }
