"""What `pulumi preview` and `pulumi up` run: config in, checked, and one environment out."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra.config import Stack, check, load_all, parse, stack_file
from infra.environment import Environment, deploy
from infra.errors import ConfigError
from infra.site import Site


def site_of_stack(project: Path) -> Site:
    """The site of the stack that the engine runs: its config from the engine, its neighbours' from their files.

    Raises:
        ConfigError: some value is wrong, here or in another stack file; nothing has been planned.
    """
    name, folder = pulumi.get_stack(), project / "stacks"
    file = stack_file(folder, name)
    config = parse(_engine_config(name, file), name=name, file=file)
    stack = Stack(name, file, config)
    everyone = {**load_all(folder), name: stack}
    check(stack, everyone)
    return Site.of(stack, everyone)


def run(project: Path) -> Environment:
    """Declares the environment of the stack that the engine runs.

    Args:
        project: the root of the checkout.
    """
    return deploy(site_of_stack(project), project)


def _engine_config(name: str, file: Path) -> object:
    config = pulumi.Config("lockstep")
    try:
        return config.get_object("environment")
    except pulumi.ConfigTypeError:
        raise ConfigError(
            "found a text, expected a map of keys to values",
            where=f"stacks/{file.name}, lockstep:environment",
            remedy=f"See another stack file; {name!r} needs the same keys.",
        ) from None
