"""Running orders against AWS in memory, and what must be true afterwards."""

from __future__ import annotations

import json
from typing import Any

from pipelines.promotion.engine import Engine
from pipelines.promotion.names import name_prefix
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Order
from tests.promotion.fake import FakeAws
from tests.promotion.world import World


def run(world: World, order: Order, *, run: str = "", kill_after: int | None = None) -> Outcome:
    """Carry an order out; each run has a name of its own unless it is given one."""
    run = run or f"run-{world.time}"
    return Engine(FakeAws(world, kill_after=kill_after), world.outputs, run=run).execute(order)


def release(arn: str) -> Order:
    return Order(operation="release", model_package_arn=arn)


def ledger(world: World, prefix: str) -> list[dict[str, Any]]:
    bucket = world.outputs.buckets.ledger.name
    return [json.loads(body) for (b, key), body in sorted(world.objects.items()) if b == bucket and key.startswith(prefix)]


def leftovers(world: World) -> list[str]:
    """Names of releases' resources that belong to no live config."""
    prefix = name_prefix(world.outputs.promotion.release_prefix)
    names = [*world.models, *world.configs, *world.alarm_table]
    return [name for name in names if name.startswith(prefix) and not (name == world.live or name.startswith(f"{world.live}-"))]


def assert_converged(world: World, outcome: Outcome, former: str) -> None:
    assert world.status == "InService"
    assert world.deployment is None
    assert world.live == (outcome.endpoint_config if outcome.ending == "released" else former)
    assert leftovers(world) == []
    assert world.deleted_in_use == []
    lease = world.items[f"LEASE#{world.outputs.endpoint.name}"]["body"]
    assert lease["finished"] is True
    stories = [story for story in ledger(world, "promotions/") if story["promotion"] == outcome.promotion]
    assert [story["outcome"] for story in stories] == [outcome.ending]
    releases = [entry for entry in ledger(world, "releases/") if entry["promotion"] == outcome.promotion]
    assert len(releases) == (1 if outcome.ending == "released" else 0)
