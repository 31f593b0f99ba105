"""Whose a promotion's id is, and what becomes of the endpoint's lease when nobody comes back for it; against AWS in memory."""

from __future__ import annotations

import copy

import pytest

from infra.errors import ConflictError, IntegrityError
from pipelines.promotion.engine import Engine
from pipelines.promotion.plan import Order
from tests.promotion.fake import FakeAws, Killed
from tests.promotion.flow import assert_converged, ledger, leftovers, release, run
from tests.promotion.test_takeovers import calls_of, standing_still
from tests.promotion.world import World


def with_instances(world: World, count: int) -> None:
    """The serving spec is edited."""
    serving = world.outputs.serving.model_copy(update={"instance_count": count})
    world.outputs = world.outputs.model_copy(update={"serving": serving})


def kill(world: World, order: Order, point: int) -> None:
    with pytest.raises(Killed):
        run(world, order, run="killed", kill_after=point)


def test_a_promotions_id_belongs_to_the_package_that_it_was_first_used_for() -> None:
    world = World()
    first, second = world.add_package(1), world.add_package(2, **{"promotion-id": "dev-p1-1"})
    clean = calls_of(world, release(first))
    for point in [*range(clean.index("PutItem") + 1, len(clean), 4), len(clean)]:
        now = copy.deepcopy(world)
        kill(now, release(first), point)
        now.advance(4000)
        before = copy.deepcopy(now)
        with pytest.raises(IntegrityError, match=r"promotion dev-p1-1 is the release of .*/1"):
            run(now, release(second))
        assert (now.items, now.models, now.configs, now.alarm_table) == (before.items, before.models, before.configs, before.alarm_table)
        assert now.packages == before.packages
        assert run(now, release(first)).model_package_arn == first
        assert now.package_of_live() == first
        assert {story["model_package_arn"] for story in ledger(now, "promotions/")} == {first}


def test_a_promotions_id_belongs_to_one_operation() -> None:
    world = World()
    for version in (1, 2):
        run(world, release(world.add_package(version)))
    rollback = run(world, Order(operation="rollback")).promotion
    with pytest.raises(IntegrityError, match=rf"promotion {rollback} is the rollback of .*/1"):
        run(world, release(world.add_package(3, **{"promotion-id": rollback})))
    with pytest.raises(IntegrityError, match="no promotion's id"):
        run(world, release(world.add_package(4, **{"promotion-id": f"LEASE#{world.outputs.endpoint.name}"})))
    assert len(world.updates) == 3


@pytest.mark.parametrize("operation", ["release", "redeploy", "rollback"])
def test_who_died_before_the_endpoint_was_touched_stands_in_nobodys_way(operation: str) -> None:
    """And what it would need to be run again is gone: its package, or the serving spec that it was asked for with."""
    world = World()
    for version in (1, 2):
        run(world, release(world.add_package(version)))
    lost = world.add_package(3)
    with_instances(world, 4)
    order = release(lost) if operation == "release" else Order(operation=operation)  # type: ignore[arg-type]
    clean = calls_of(world, order)
    former = world.live
    for point in range(clean.index("PutItem") + 1, clean.index("UpdateEndpoint"), 3):
        now = copy.deepcopy(world)
        kill(now, order, point)
        (held,) = [item["body"]["promotion"] for key, item in now.items.items() if key.startswith("LEASE#")]
        with_instances(now, 3)
        del now.packages[lost]
        if now.items.get(held, {}).get("body", {}).get("facts", {}).get("submitting"):
            continue
        following = release(now.add_package(9))
        with pytest.raises(ConflictError, match="is under way, run by killed"):
            run(now, following)
        now.advance(4000)
        outcome = run(now, following)
        assert outcome.ending == "released", point
        assert_converged(now, outcome, former)
        (told,) = ledger(now, f"refusals/{held}/")
        assert "it was left before it had changed anything, and release dev-p9-1 went ahead" in told["message"]
        assert not ledger(now, f"promotions/{held}/")


@pytest.mark.parametrize("operation", ["redeploy", "rollback"])
def test_an_operation_whose_run_died_is_resumed_although_the_serving_spec_was_edited(operation: str) -> None:
    world = World()
    for version in (1, 2):
        run(world, release(world.add_package(version)))
    with_instances(world, 4)
    order = Order(operation=operation)  # type: ignore[arg-type]
    clean = calls_of(world, order)
    for point in range(clean.index("PutItem") + 1, len(clean) - 1, 4):
        now = copy.deepcopy(world)
        kill(now, order, point)
        now.advance(4000)
        with_instances(now, 3)
        outcome = run(now, order)
        assert outcome.ending == "released", point
        assert len(now.updates) == len(world.updates) + 1
        assert_converged(now, outcome, world.live)


def test_a_run_that_stood_still_until_another_promotion_went_ahead_changes_nothing_any_more() -> None:
    world = World()
    run(world, release(world.add_package(1)))
    slow, fast = release(world.add_package(2)), release(world.add_package(3))
    clean = calls_of(world, slow)
    asked = clean.index("UpdateEndpoint") - 1  # that it is about to be asked for is on record
    for point in range(clean.index("PutItem") + 1, asked):
        now = copy.deepcopy(world)

        def meanwhile(world: World = now) -> None:
            world.advance(4000)
            assert run(world, fast, run="other").ending == "released"

        aws = standing_still(now, point, meanwhile)
        outcome = Engine(aws, now.outputs, run="stood still").execute(slow)
        late = (aws.calls[point:] or [""])[0]
        what = f"stood still after call {point}, {aws.calls[point - 1 : point + 1]}"
        assert outcome.ending == "released", what  # it was asked for, and begins anew after the other
        assert len(now.updates) == len(world.updates) + 2, what
        assert now.deleted_in_use == [], what
        assert leftovers(now) == [], f"{what} {late}"


def test_who_died_after_asking_for_the_update_must_be_run_to_its_end_first() -> None:
    world = World()
    first, second = release(world.add_package(1)), release(world.add_package(2))
    kill(world, first, calls_of(world, first).index("UpdateEndpoint") + 1)
    world.advance(4000)
    with pytest.raises(ConflictError, match="left without an end after it had asked for the update"):
        run(world, second)
    assert run(world, first).ending == "released"
    assert run(world, second).ending == "released"


def test_a_process_that_dies_while_it_closes_what_another_left_is_followed_by_one_that_does_it() -> None:
    world = World()
    dead, following = release(world.add_package(1)), release(world.add_package(2))
    kill(world, dead, calls_of(world, dead).index("PutMetricAlarm") + 1)
    world.advance(4000)
    aws = FakeAws(copy.deepcopy(world))
    Engine(aws, world.outputs, run="clean").execute(following)
    for point in range(1, aws.calls.index("Create model") + 1):
        now = copy.deepcopy(world)
        kill(now, following, point)
        outcome = run(now, following, run="killed")
        assert outcome.ending == "released"
        assert_converged(now, outcome, now.outputs.endpoint.bootstrap_config_name)
        assert run(now, dead).ending == "released"
