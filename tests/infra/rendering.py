"""Runs the real program against Pulumi's mock engine and keeps what it would register."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from infra import program
from infra.outputs import EnvironmentOutputs

PROJECT = Path(__file__).resolve().parents[2]
STACKS = ("dev", "staging", "prod")


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would receive it; `inputs` has the provider's (camelCase) names, `dependencies` are logical names."""

    token: str
    name: str
    inputs: dict[str, Any]
    provider: str
    parent: str
    ignore_changes: tuple[str, ...]
    dependencies: tuple[str, ...]


@dataclass
class Rendered:
    """What one run of the program registered and exported."""

    resources: list[Registered] = field(default_factory=list)
    outputs: EnvironmentOutputs | None = None

    def one(self, name: str) -> Registered:
        """The resource of that logical name."""
        found = [each for each in self.resources if each.name == name]
        assert len(found) == 1, f"{name}: {len(found)} of {sorted(each.name for each in self.resources)}"
        return found[0]

    def of(self, token: str) -> list[Registered]:
        """All resources of a type."""
        return [each for each in self.resources if each.token == token]

    @property
    def aws(self) -> list[Registered]:
        """All resources that the AWS provider makes."""
        return [each for each in self.resources if each.token.startswith("aws:")]


class Answers(Mocks):
    """Answers as AWS would where the program reads an answer: ARNs, ids and prefix lists."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        answers = {
            **args.inputs,
            "arn": f"arn:aws:test:us-east-1:000000000000:{args.name}",
            "keyId": f"{args.name}-key",
            "prefixListId": f"pl-{args.name}",
        }
        return f"{args.name}-id", answers

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token} of the provider: it must need no answer to be planned")


class _Monitor(MockMonitor):
    """Keeps each registration as it comes over the wire."""

    def __init__(self, answers: Answers, rendered: Rendered) -> None:
        super().__init__(answers)
        self.rendered = rendered

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            self.rendered.resources.append(
                Registered(
                    token=request.type,
                    name=request.name,
                    inputs=rpc.deserialize_properties(request.object),
                    provider=request.provider,
                    parent=request.parent,
                    ignore_changes=tuple(request.ignoreChanges),
                    dependencies=tuple(sorted(urn.rsplit("::", 1)[-1] for urn in request.dependencies)),
                )
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def render(stack: str, *, project: Path = PROJECT, into: Rendered | None = None, answers: Answers | None = None) -> Rendered:
    """Runs the program for one stack.

    Args:
        stack: its name.
        project: the folder that holds stack files and compiled definitions.
        into: where to keep what is registered, for a run that fails.
        answers: what the providers answer, where that matters.

    Raises:
        LockstepError: as the program does.
    """
    answers = answers or Answers()
    monitor = _Monitor(answers, into or Rendered())
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(answers, project="lockstep", stack=stack, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def body() -> pulumi.Output[None]:
        made = program.run(project)

        def keep(outputs: EnvironmentOutputs) -> None:
            monitor.rendered.outputs = outputs

        return made.outputs.apply(keep)

    body()
    return monitor.rendered


def copy_of_project(destination: Path) -> Path:
    """A project folder with the real stack files and definitions, to be made wrong by a test."""
    for part in (Path("stacks"), Path("pipelines") / "definitions"):
        shutil.copytree(PROJECT / part, destination / part, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return destination


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values at the ends of a nested structure."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, f"{path}[{index}]")
    else:
        yield path, value
