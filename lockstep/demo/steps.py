"""The demo's script: what is run, in which order, under which load, and which ends count as right."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.errors import LockstepError
from lockstep import context
from lockstep.demo.live_requests import live_requests
from lockstep.demo.runner import Ran, Runner, Step, lockstep
from lockstep.demo.traffic import Tally, Traffic

ENVIRONMENTS = ("dev", "staging", "prod")
SPEED = 30.0
RATE = 50.0
OVERLAY = "demo/mortgage-bands"
ROLLED_BACK = 4

_PACKAGE = re.compile(r"arn:aws[\w-]*:sagemaker:[\w-]+:\d+:model-package/[\w-]+/(\d+)")
# Of what `pulumi up` prints: its summary and its troubles.
_TOLD = re.compile(r"^(Resources:|Duration:|error|warning)|^    [+~-] \d|\d unchanged|rror:")


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One promotion as its clients lived through it."""

    candidate: str
    source: str
    target: str
    exit_code: int
    tally: Tally
    seconds: float


class Demo:
    """Plays the whole path. Every step works on what an earlier demo left."""

    def __init__(self, root: Path, console: Console) -> None:
        self._root = root
        self._console = console
        self._runner = Runner(root, console, total=8)
        self.rollouts: list[Rollout] = []

    @property
    def ran(self) -> list[Ran]:
        return self._runner.ran

    def play(self) -> None:
        self._cloud()
        self._environments()
        self._images()
        good = self._train("Train the first candidate in dev, on real data, through its gates", "first", ())
        self._promote("first", "dev", "staging", good, "Promote it to staging: blue-green, canary, under live traffic")
        released = self._live_package("staging")
        self._promote("first", "staging", "prod", released, "Promote it to prod: a person approves, then the same rollout")
        overlay = ("--overlay", OVERLAY)
        bad = self._train("A second candidate: other code, the same gates passed", "second", overlay)
        title = "Promote it to staging: live traffic finds what the golden data did not"
        self._promote("second", "dev", "staging", bad, title, expected=ROLLED_BACK)

    def show_status(self) -> None:
        """The table of `lockstep status`, over all environments."""
        self._command("status")

    def _cloud(self) -> None:
        self._runner.heading("The embedded cloud comes up")
        self._command("cloud", "up", "--speed", f"{SPEED:g}")

    def _environments(self) -> None:
        self._runner.heading("pulumi up of dev, staging and prod, by the real engine")
        steps = {}
        for environment in ENVIRONMENTS:
            variables = self._pulumi_variables(environment)
            steps[environment] = Step(
                title=environment,
                argv=["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never", "-s", environment],
                shown=f'eval "$(lockstep cloud env {environment})" && pulumi up -s {environment}',
                environment=variables,
                keep=_told,
            )
        self._runner.together(steps)

    def _images(self) -> None:
        self._runner.heading("Images and data: built from source, addressed by digest")
        self._command("image", "push", "dev")
        for environment in ENVIRONMENTS[1:]:
            self._command("image", "push", environment, "--toolkit")
        for environment in ENVIRONMENTS:
            self._command("data", "push", environment)

    def _train(self, title: str, candidate: str, overlay: tuple[str, ...]) -> str:
        """Trains a candidate in dev, unless an earlier demo did, and returns its model package's ARN."""
        self._runner.heading(title)
        workload = context.stack("dev").config.workload
        pushed = self._runner.run(self._step("image", "push", "dev", workload, *overlay, "--json", quiet=True))
        digest = _digest(pushed)
        known = trained(json.loads(self._runner.run(self._step("models", "dev", "--json", quiet=True)).output), digest)
        if known is not None:
            self._console.print(f"    trained already: {known}", highlight=False)
            return known
        ran = self._command("pipeline", "run", "dev", "training", "--image", digest, "--token", f"demo-{candidate}-{digest}")
        found = _PACKAGE.search(ran.output)
        if found is None:
            raise LockstepError("the training pipeline named no model package", where=ran.step.shown)
        return found.group(0)

    def _promote(self, candidate: str, source: str, target: str, package: str, title: str, *, expected: int = 0) -> None:
        self._runner.heading(title)
        outputs = context.outputs(target)
        version = package.rsplit("/", 1)[-1]
        requests = live_requests(outputs.workload)
        with Traffic(context.session(target), outputs.endpoint.name, requests, content_type="text/csv", rate=RATE) as traffic:
            step = self._step("promote", "--from", source, "--to", target, "--model-package", version)
            begun = time.monotonic()
            ran = self._runner.run(replace(step, expected=frozenset({expected})))
            if "waits for approval" in ran.output:
                approval = self._step("approve", target, person="approver")
                ran = self._runner.run(replace(approval, expected=frozenset({expected})))
            seconds = time.monotonic() - begun
        tally = traffic.tally
        rollout = Rollout(candidate=candidate, source=source, target=target, exit_code=ran.exit_code, tally=tally, seconds=seconds)
        self.rollouts.append(rollout)
        told = f"{tally.sent} requests, {tally.sent - tally.failed} answered, {tally.failed} failed"
        self._console.print(f"    clients meanwhile: {told}", highlight=False)

    def _live_package(self, environment: str) -> str:
        """ARN of the package that serves in an environment, as `lockstep status` says it."""
        ran = self._runner.run(self._step("status", environment, "--json", quiet=True))
        found = _PACKAGE.search(ran.output)
        if found is None:
            raise LockstepError("no model package serves", where=environment)
        return found.group(0)

    def _pulumi_variables(self, environment: str) -> Mapping[str, str]:
        argv, shown = lockstep("cloud", "env", environment, "--json")
        ran = self._runner.run(Step(title="env", argv=argv, shown=shown, environment={}, keep=lambda line: False))
        variables: dict[str, str] = json.loads(ran.output)["set"]
        return variables

    def _step(self, *arguments: str, person: str = "", quiet: bool = False) -> Step:
        argv, shown = lockstep(*arguments)
        environment = {"LOCKSTEP_TARGET": "local"} | ({"LOCKSTEP_PERSON": person} if person else {})
        step = Step(title=arguments[0], argv=argv, shown=f"LOCKSTEP_PERSON={person} {shown}" if person else shown, environment=environment)
        return replace(step, keep=lambda line: False) if quiet else step

    def _command(self, *arguments: str) -> Ran:
        return self._runner.run(self._step(*arguments))


def trained(packages: Sequence[Mapping[str, Any]], image_digest: str) -> str | None:
    """ARN of the newest package of an image among those that `lockstep models --json` lists, or None."""
    usable = [each for each in packages if each["status"] == "Completed" and each["approval"] != "Rejected"]
    found = [each for each in usable if each["image_digest"] == image_digest]
    return str(max(found, key=lambda each: int(each["version"]))["model_package_arn"]) if found else None


def _told(line: str) -> bool:
    return _TOLD.search(line) is not None


def _digest(pushed: Ran) -> str:
    found = re.search(r"sha256:[0-9a-f]{64}", pushed.output)
    if found is None:
        raise LockstepError("the push named no digest", where=pushed.step.shown)
    return found.group(0)
