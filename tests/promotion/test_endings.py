"""What others may do to a release while it is under way, against AWS in memory: it ends as what it is, or says that nobody can tell."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from infra.errors import ConflictError, LockstepError, OutcomeUnknown, PreflightError
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Order
from tests.promotion.fake import FakeAws, Killed
from tests.promotion.flow import assert_converged, ledger, leftovers, release, run
from tests.promotion.world import World, failure

SLOW = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 600}, "TerminationWaitInSeconds": 0}}


def prepared() -> tuple[World, str, str]:
    """A world with a release live, that release's config, and the next package."""
    world = World()
    former = run(world, release(world.add_package(1))).endpoint_config
    return world, former, world.add_package(2)


def released_with(world: World, arn: str, happens: Callable[[World], None], *, when: Callable[[World, str], bool]) -> Outcome:
    """Release a package; the first time that `when` holds after a call, something happens."""
    aws = FakeAws(world)
    happened: list[int] = []

    def called(number: int) -> None:
        if not happened and when(world, aws.calls[-1]):
            happened.append(number)
            happens(world)

    aws.on_call = called
    try:
        return Engine(aws, world.outputs, run="one").execute(release(arn))
    finally:
        assert happened


def baking(world: World, call: str) -> bool:
    return (world.stage() or ("",))[0] == "Baking"


def after(wanted: str) -> Callable[[World, str], bool]:
    return lambda world, call: call == wanted


def target_of(world: World) -> str:
    return str(world.updates[-1][0])


def drop(ending: str) -> Callable[[World], None]:
    def happens(world: World) -> None:
        del world.alarm_table[next(name for name in world.alarm_table if name.startswith(target_of(world)) and name.endswith(ending))]

    return happens


def drop_endpoints_own(world: World) -> None:
    del world.alarm_table[world.outputs.endpoint.alarm_names[0]]


@pytest.mark.parametrize("happens", [drop("-errors"), drop("-veto"), drop_endpoints_own])
def test_an_alarm_deleted_meanwhile_protects_nobody_so_the_release_does_not_stay(happens: Callable[[World], None]) -> None:
    world, former, arn = prepared()
    outcome = released_with(world, arn, happens, when=baking)
    assert outcome.ending == "rolled-back"
    assert any("deleted while the release needed it" in reason for reason in outcome.reasons)
    assert world.live == former
    assert leftovers(world) == []


def test_a_veto_that_the_service_does_not_heed_is_carried_out_afterwards() -> None:
    world, former, arn = prepared()
    world.deaf = world.green_fails = True
    outcome = run(world, release(arn))
    assert outcome.ending == "rolled-back"
    assert any("golden request failed" in reason or "-errors" in reason for reason in outcome.reasons)
    assert [config for config, _ in world.updates[1:]] == [outcome.endpoint_config, former]
    assert_converged(world, outcome, former)


@pytest.mark.parametrize(("late", "ending"), [(0.0, "released"), (100.0, "released"), (200.0, "rolled-back"), (5000.0, "rolled-back")])
def test_metrics_that_come_late_are_no_health_when_they_are_needed(late: float, ending: str) -> None:
    world, former, arn = prepared()
    world.metrics_late = late
    outcome = run(world, release(arn))
    assert outcome.ending == ending
    assert_converged(world, outcome, former)


def time_runs_out(world: World) -> None:
    world._rest()
    world.failure_reason = "The deployment exceeded its maximum execution time-out."


def test_a_deployment_that_ran_out_of_time_is_rolled_back_and_says_why() -> None:
    world, former, arn = prepared()
    outcome = released_with(world, arn, time_runs_out, when=baking)
    assert outcome.ending == "rolled-back"
    assert any("maximum execution time-out" in reason for reason in outcome.reasons)
    assert_converged(world, outcome, former)


class Refusing(FakeAws):
    """The package can't be marked, the first `times`."""

    times = 10_000
    name = "ConflictException"

    def set_package_stage(self, arn: str, *, stage: str, status: str, description: str) -> None:
        self.times -= 1
        if self.times >= 0:
            raise failure("UpdateModelPackage", "somebody is changing it", self.name)
        super().set_package_stage(arn, stage=stage, status=status, description=description)


def test_a_package_that_somebody_else_is_changing_is_marked_a_little_later() -> None:
    world, former, arn = prepared()
    aws = Refusing(world)
    aws.times = 3
    outcome = Engine(aws, world.outputs, run="one").execute(release(arn))
    assert (outcome.ending, outcome.reasons) == ("released", ())
    assert world.packages[arn]["ModelLifeCycle"]["StageStatus"] == "Released"
    assert_converged(world, outcome, former)


@pytest.mark.parametrize("name", ["ConflictException", "AccessDeniedException"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_package_that_can_not_be_marked_changes_nothing_about_how_its_promotion_ended(name: str, fails: bool) -> None:
    world, former, arn = prepared()
    world.green_fails = fails
    aws = Refusing(world)
    aws.name = name
    outcome = Engine(aws, world.outputs, run="one").execute(release(arn))
    assert outcome.ending == ("rolled-back" if fails else "released")
    assert outcome.reasons[-1].endswith(f"{name}: somebody is changing it")
    assert_converged(world, outcome, former)
    (story,) = [story for story in ledger(world, "promotions/") if story["promotion"] == outcome.promotion]
    assert story["reasons"][-1] == outcome.reasons[-1]
    assert run(world, release(arn)) == outcome
    world.green_fails = False
    assert run(world, release(world.add_package(3))).ending == "released"


def test_a_package_deleted_before_its_promotion_is_concluded_is_released_all_the_same() -> None:
    world, former, arn = prepared()

    def deleted(world: World) -> None:
        del world.packages[arn]

    outcome = released_with(world, arn, deleted, when=after("PutObject"))
    assert outcome.ending == "released"
    assert "could not be marked as Released" in outcome.reasons[0]
    assert_converged(world, outcome, former)


def test_a_promotion_that_died_in_its_rollout_is_run_to_its_end_without_its_package() -> None:
    world, former, arn = prepared()
    clean = FakeAws(copy.deepcopy(world))
    Engine(clean, world.outputs, run="clean").execute(release(arn))
    for point in range(clean.calls.index("UpdateEndpoint") + 1, len(clean.calls) - 1, 5):
        now = copy.deepcopy(world)
        with pytest.raises(Killed):
            run(now, release(arn), run="killed", kill_after=point)
        now.answers |= {f"bootstrap {body.rpartition('/')[2][2:]}": answer for body, answer in now.answers.items() if arn in body}
        del now.packages[arn]
        now.advance(4000)
        outcome = run(now, release(arn))
        assert outcome.ending == "released", point
        assert_converged(now, outcome, former)


def vanish(world: World) -> None:
    world.exists, world.deployment = False, None


def test_an_endpoint_deleted_before_the_update_refuses_the_release_and_leaves_nothing() -> None:
    world, _, arn = prepared()
    with pytest.raises(PreflightError, match="there is no such endpoint"):
        released_with(world, arn, vanish, when=after("PutMetricAlarm"))
    world.exists = True
    assert leftovers(world) == []
    assert run(world, release(arn)).ending == "released"


def made_anew(world: World) -> None:
    """As `pulumi up` does: on bootstrap."""
    world.exists, world.deployment, world.last_deployment, world.status = True, None, None, "InService"
    world.live, world.modified = world.outputs.endpoint.bootstrap_config_name, world.time


def fail(world: World) -> None:
    world.deployment, world.status = None, "Failed"


@pytest.mark.parametrize("happens", [vanish, fail])
@pytest.mark.parametrize("when", [after("UpdateEndpoint"), baking])
def test_an_endpoint_that_is_lost_meanwhile_can_be_made_anew_and_restored(
    happens: Callable[[World], None], when: Callable[[World, str], bool]
) -> None:
    world, _, arn = prepared()
    with pytest.raises(OutcomeUnknown):
        released_with(world, arn, happens, when=when)
    with pytest.raises(ConflictError, match="left without an end"):
        run(world, Order(operation="restore"))
    made_anew(world)
    ended = run(world, release(arn))
    assert ended.ending == "unknown"
    assert isinstance(ended.error(), OutcomeUnknown)
    assert leftovers(world) == []
    restored = run(world, Order(operation="restore"))
    assert restored.ending == "released"
    assert world.package_of_live() == ledger(world, "releases/")[0]["model_package_arn"]
    stories = {story["promotion"]: story["outcome"] for story in ledger(world, "promotions/")}
    assert stories[ended.promotion] == "unknown"
    assert [entry["number"] for entry in ledger(world, "releases/")] == [1, 2]


def test_an_endpoint_made_anew_on_the_former_config_has_the_former_release() -> None:
    world = World()
    with pytest.raises(OutcomeUnknown):
        released_with(world, world.add_package(1), vanish, when=baking)
    made_anew(world)
    world.modified = world.time
    outcome = run(world, release(next(iter(world.packages))))
    assert outcome.ending == "rolled-back"
    assert_converged(world, outcome, world.outputs.endpoint.bootstrap_config_name)


def somebody_updates(world: World) -> None:
    world.configs["foreign"] = world.configs[world.live]
    world.start_update("foreign", SLOW, retain=False)


def live_at_last(world: World, call: str) -> bool:
    return len(world.updates) == 2 and world.deployment is None and world.live == target_of(world)


def test_somebody_elses_update_after_ours_is_neither_a_release_nor_a_rollback() -> None:
    world, _former, arn = prepared()
    with pytest.raises(OutcomeUnknown, match="foreign"):
        released_with(world, arn, somebody_updates, when=live_at_last)
    assert world.deleted_in_use == []
    world.advance(900)
    assert world.live == "foreign"
    ended = run(world, release(arn))
    assert ended.ending == "unknown"
    assert any("somebody else's config foreign is live" in reason for reason in ended.reasons)
    assert world.deleted_in_use == []
    assert run(world, Order(operation="restore")).ending == "released"


def test_somebody_elses_update_while_the_last_checks_run_is_seen_before_anything_is_called_released() -> None:
    world, _former, arn = prepared()

    def checking(world: World, call: str) -> bool:
        return live_at_last(world, call) and call == "InvokeEndpoint"

    with pytest.raises(OutcomeUnknown):
        released_with(world, arn, somebody_updates, when=checking)
    assert [story["outcome"] for story in ledger(world, "promotions/")] == ["released"]  # the one before


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed", "Deleting"])
def test_a_dead_end_before_the_update_is_a_refusal_and_after_it_unknown(status: str) -> None:
    def dies(world: World) -> None:
        world.deployment, world.status = None, status

    for when, error in ((after("PutMetricAlarm"), PreflightError), (after("UpdateEndpoint"), OutcomeUnknown)):
        world, _, arn = prepared()
        with pytest.raises(LockstepError) as raised:
            released_with(world, arn, dies, when=when)
        assert type(raised.value) is error
        assert bool(leftovers(world)) is (error is OutcomeUnknown)


def test_a_run_after_days_counts_the_metrics_of_all_of_them() -> None:
    """One answer of CloudWatch holds 1,440 points at most."""
    from pipelines.promotion.seam import Aws

    asked: list[dict[str, Any]] = []

    class Client:
        def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            return {"Datapoints": [{"Sum": 2.0}, {"Sum": 3.0}]}

    aws = Aws(None, table="t")  # type: ignore[arg-type]
    aws._clients["cloudwatch"] = Client()
    for days in (0.001, 0.9, 1, 3, 14):
        assert aws.metric_sum("N", "M", {}, start=1_800_000_007.0, end=1_800_000_007.0 + days * 86_400) == 5.0
        spent = asked[-1]["EndTime"] - asked[-1]["StartTime"]
        assert spent.total_seconds() / asked[-1]["Period"] <= 1440
        assert asked[-1]["Period"] % 60 == 0
    assert asked[0]["Period"] == 60
