"""Rules across stack files. Each yields a key path and a sentence.

`check` runs before any resource is planned; it makes no network call. What is wrong with one file by itself, `parse` has said before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from pydantic import BaseModel

from infra.config.load import Stack, problems
from infra.config.marks import Same
from infra.config.rules import Fault
from infra.errors import ConfigError


def check(stack: Stack, others: Mapping[str, Stack]) -> None:
    """Checks one environment against the others.

    Args:
        stack: the environment that is about to be planned.
        others: all environments of the folder by name; an entry of the same name is replaced by `stack`.

    Raises:
        ConfigError: all faults of this stack file at once, or a Same value that differs.
    """
    everyone = {**others, stack.name: stack}
    if found := [*_neighbours(stack, everyone), *_circle(stack, everyone), *_isolation(stack, everyone)]:
        raise problems(stack.label, found)
    check_same(everyone, seen_from=stack.name)


def check_same(stacks: Mapping[str, Stack], *, seen_from: str | None = None) -> None:
    """Checks that fields marked Same are equal in all stack files.

    Args:
        stacks: environments by name.
        seen_from: compare all others with this one; otherwise with the first by name.

    Raises:
        ConfigError: naming the files, the key path and both values.
    """
    if not stacks:
        return
    reference = stacks[seen_from or min(stacks)]
    expected = dict(same_values(reference.config))
    for name in sorted(stacks):
        actual = dict(same_values(stacks[name].config))
        differing = [path for path in expected if actual.get(path) != expected[path]]
        if differing:
            path = differing[0]
            raise ConfigError(
                f"found {actual.get(path)!r}, but {reference.label} has {expected[path]!r}, and this must be the same in every environment",
                where=f"{stacks[name].label}, lockstep:environment.{path}",
                remedy="Make both files say the same." + (f" Also different: {', '.join(differing[1:])}." if differing[1:] else ""),
            )


def same_values(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key paths and values (or numbers of entries) of what must be the same everywhere."""
    for name, field in type(model).model_fields.items():
        path = f"{prefix}{field.alias or name}"
        value = getattr(model, name)
        mark = next((each for each in field.metadata if isinstance(each, Same)), None)
        if mark is not None:
            yield (f"{path} (number of entries)", len(value)) if mark.count_only else (path, value)
        elif isinstance(value, BaseModel):
            yield from same_values(value, f"{path}.")


def _neighbours(stack: Stack, everyone: Mapping[str, Stack]) -> Iterator[Fault]:
    chain = stack.config.chain
    for key, name, back in (("from", chain.from_, "to"), ("to", chain.to, "from")):
        if name is None:
            continue
        if name == stack.name:
            yield f"chain.{key}", f"found {name!r}, expected another environment"
        elif name not in everyone:
            yield f"chain.{key}", f"found {name!r}, expected an environment that has a stack file: {', '.join(sorted(everyone))}"
        else:
            theirs = everyone[name].config.chain
            answer = theirs.to if back == "to" else theirs.from_
            if answer != stack.name:
                yield f"chain.{key}", f"found {name!r}, but chain.{back} of {everyone[name].label} is {answer!r}, expected {stack.name!r}"
            if (region := everyone[name].config.region) != stack.config.region:
                yield (
                    f"chain.{key}",
                    f"{name} is in {region}, expected {stack.config.region}: jobs reach AWS through endpoints of their own region alone, "
                    f"so a candidate can't be read from another",
                )


def _circle(stack: Stack, everyone: Mapping[str, Stack]) -> Iterator[Fault]:
    """A chain has a start, where models are trained, and an end: evidence that goes round proves nothing."""
    way, name = [stack.name], stack.config.chain.to
    while name is not None and name in everyone and name not in way:
        way.append(name)
        name = everyone[name].config.chain.to
    if name == stack.name and len(way) > 1:
        yield "chain.to", f"{' -> '.join([*way, name])} is a circle, expected a chain with a start (from: null) and an end (to: null)"


def _isolation(stack: Stack, everyone: Mapping[str, Stack]) -> Iterator[Fault]:
    mine = IPv4Network(stack.config.network.cidr)
    for name, other in sorted(everyone.items()):
        if name == stack.name:
            continue
        theirs = IPv4Network(other.config.network.cidr)
        if mine.overlaps(theirs):
            yield "network.cidr", f"{mine} overlaps {theirs} of {other.label}: each environment needs a range of its own"
        if stack.config.account_id == other.config.account_id:
            yield (
                "accountId",
                f"{stack.config.account_id} is also the account of {other.label}: each environment needs an account of its own",
            )
