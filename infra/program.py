"""What `pulumi preview` and `pulumi up` run: config in, checked, and one environment out."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra import definitions
from infra.config import check, load_all, load_stack
from infra.environment import Environment, deploy
from infra.site import Site


def site_of_stack(project: Path) -> Site:
    """The site of the stack that the engine runs.

    Its values come from its stack file, as its neighbours' do, and not from the engine's config: a rehearsal keeps the
    engine's notes on secrets in a file of their own, and there the engine has no config.

    Raises:
        UsageError, ConfigError: there is no such stack file, or some value is wrong, here or in another; nothing has been planned.
    """
    folder = project / "stacks"
    stack = load_stack(folder, pulumi.get_stack())
    everyone = load_all(folder)
    check(stack, everyone)
    return Site.of(stack, everyone)


def run(project: Path) -> Environment:
    """Declares the environment of the stack that the engine runs.

    Args:
        project: the root of the checkout.

    Raises:
        UsageError, ConfigError: something is missing or wrong; nothing has been planned.
    """
    return deploy(site_of_stack(project), definitions.load(project))
