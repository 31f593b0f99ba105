"""Several runs at a time, against AWS in memory: one stands still after a call, as if stopped by SIGSTOP, another does its work, then the
first goes on. One of the points is between the journal's leave to make a change and that change, which nothing can close.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from infra.errors import ConflictError, LockstepError, PreflightError
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Order
from tests.promotion.fake import FakeAws
from tests.promotion.flow import assert_converged, leftovers, release, run
from tests.promotion.test_engine import CRASH_SCENARIOS, prepared
from tests.promotion.world import World, failure

CREATIONS = {"Create model", "Create config", "PutMetricAlarm"}


def standing_still(world: World, point: int, meanwhile: Callable[[], None], kind: type[FakeAws] = FakeAws) -> FakeAws:
    """A run that stands still after its `point`-th call while `meanwhile` happens."""

    def called(number: int) -> None:
        if number == point:
            meanwhile()

    return kind(world, on_call=called)


def calls_of(world: World, order: Order) -> list[str]:
    aws = FakeAws(copy.deepcopy(world))
    Engine(aws, world.outputs, run="clean").execute(order)
    return aws.calls


@pytest.mark.parametrize("name", CRASH_SCENARIOS)
def test_a_run_that_stood_still_while_another_did_its_work_does_no_harm_when_it_goes_on(name: str) -> None:
    operation, fails = CRASH_SCENARIOS[name]
    before, order = prepared(operation, fails)
    # After its last call a rollback has ended, and who asks for one then asks for another.
    for point in range(1, len(calls_of(before, order)) + (operation != "rollback")):
        world = copy.deepcopy(before)
        ended: list[Outcome] = []

        def meanwhile(world: World = world, ended: list[Outcome] = ended) -> None:
            ended.append(run(world, order, run="other"))

        aws = standing_still(world, point, meanwhile)
        late_refusal = None
        try:
            outcome = Engine(aws, world.outputs, run="stood still").execute(order)
        except (ConflictError, PreflightError) as error:
            outcome, late_refusal = ended[0], error
        late = (aws.calls[point:] or [""])[0]
        what = f"stood still after call {point}, {aws.calls[point - 1 : point + 1]}: {outcome} {late_refusal}"
        if late_refusal is not None:
            assert operation == "rollback", what
            words = "since the rollback was asked for" if isinstance(late_refusal, ConflictError) else "no release before the present one"
            assert words in late_refusal.message, what
        assert ended[0].ending == ("rolled-back" if fails else "released"), what
        if outcome.reasons != ("already live: nothing to do",) and ended[0].reasons != ("already live: nothing to do",):
            assert ended[0] == outcome, what
        # An update that comes late is refused, or deploys the config that is live once more.
        assert len(world.updates) == len(before.updates) + 1 + (late == "UpdateEndpoint"), what
        assert {config for config, _ in world.updates[len(before.updates) :]} == {ended[0].endpoint_config}, what
        world.advance(900)
        assert world.live == (before.live if fails else ended[0].endpoint_config), what
        assert world.deleted_in_use == [], what
        # What the late call made anew, the next release finds by its name.
        assert len(leftovers(world)) <= (late in CREATIONS), what
        if leftovers(world):
            world.green_fails = False
            assert run(world, release(world.add_package(9))).ending == "released"
            assert leftovers(world) == [], what


@pytest.mark.parametrize("change", range(1, 9))
def test_what_a_refused_run_deletes_late_is_never_what_a_later_run_made_live(change: int) -> None:
    """It was refused, deletes what it made, and stands still before one of its deletions; the same promotion is run again and released."""
    world = World()
    arn = world.add_package(1)
    changes: list[str] = []

    class Refused(FakeAws):
        def _done(self, call: str) -> None:
            super()._done(call)
            entry = self.world.items.get("dev-p1-1", {"body": {"trail": []}})
            if call == "PutItem" and len(entry["body"]["trail"]) > len(changes) < change:
                changes.append(call)
                if len(changes) == change:
                    self.world.advance(3600)
                    assert run(self.world, release(arn), run="again").ending == "released"

        def update_endpoint(self, name: str, *, config: str, deployment: dict[str, object], retain: bool) -> None:
            raise failure("UpdateEndpoint", "The account-level service limit is 0", "ResourceLimitExceeded")

    assert Engine(Refused(world), world.outputs, run="refused").execute(release(arn)).ending == "released"
    assert len(changes) == change
    assert world.deleted_in_use == []
    assert len(world.updates) == 1
    assert world.package_of_live() == arn
    assert len([name for name in world.alarm_table if name.startswith(f"{world.live}-")]) == 3


def test_another_promotion_is_refused_from_the_lease_to_the_end_and_goes_through_before_and_after() -> None:
    before, order = prepared("release", False)
    other = release(before.add_package(8))
    refused = 0
    calls = calls_of(before, order)
    number, taken = len(calls), calls.index("PutItem") + 1
    for point in range(1, number + 1):
        world = copy.deepcopy(before)
        ended: list[Outcome | LockstepError] = []

        def meanwhile(world: World = world, ended: list[Outcome | LockstepError] = ended) -> None:
            try:
                ended.append(run(world, other, run="other"))
            except LockstepError as error:
                ended.append(error)

        outcome = Engine(standing_still(world, point, meanwhile), world.outputs, run="stood still").execute(order)
        (end,) = ended
        what = f"stood still after call {point}: {end}"
        assert outcome.ending == "released", what
        assert world.deleted_in_use == [], what
        assert leftovers(world) == [], what
        if isinstance(end, Outcome):
            assert end.ending == "released", what
            assert point < taken or point >= number - 1, what
            assert len(world.updates) == len(before.updates) + 2, what
        else:
            refused += 1
            assert isinstance(end, ConflictError), what
            assert "is under way, run by stood still" in end.message, what
            assert_converged(world, outcome, before.live)
    assert refused > 40
