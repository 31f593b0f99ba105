"""The flow against AWS in memory: good and bad endings, every crash, everybody else who might be at it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import ConflictError, OutcomeUnknown, PreflightError
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Order
from tests.promotion.fake import FakeAws, Killed
from tests.promotion.flow import assert_converged, ledger, leftovers, release, run
from tests.promotion.world import World, failure


def test_a_good_release_goes_live_and_the_one_before_it_is_cleaned_up() -> None:
    world = World()
    first = run(world, release(world.add_package(1)))
    second = run(world, release(world.add_package(2)))
    assert second.ending == "released"
    assert first.endpoint_config not in world.configs
    assert_converged(world, second, former=first.endpoint_config)
    assert [entry["number"] for entry in ledger(world, "releases/")] == [1, 2]
    assert world.outputs.endpoint.bootstrap_config_name in world.configs


def test_evidence_says_what_was_released_from_what_and_why() -> None:
    world = World()
    arn = world.add_package(1)
    run(world, release(arn))
    (story,) = ledger(world, "promotions/")
    metadata = world.packages[arn]["CustomerMetadataProperties"]
    assert story["model_package_arn"] == arn
    assert story["artefact_sha256"] == metadata["artefact-sha256"]
    assert story["image_digest"] == metadata["image-digest"]
    assert story["judged"]["gates"]["passed"] is True
    assert [call["call"] for call in story["calls"]][:3] == ["Create model", "Create config", "PutMetricAlarm"]
    assert world.packages[arn]["ModelLifeCycle"]["StageStatus"] == "Released"


def test_a_release_that_fails_on_traffic_is_rolled_back_and_says_why() -> None:
    world = World()
    good = run(world, release(world.add_package(1)))
    world.green_fails = True
    bad = run(world, release(world.add_package(2)))
    assert bad.ending == "rolled-back"
    assert any("-errors" in reason for reason in bad.reasons)
    assert_converged(world, bad, former=good.endpoint_config)


def test_the_endpoints_own_alarm_rolls_back_too() -> None:
    world = World()
    world.alarm_trips = world.outputs.endpoint.alarm_names[1]
    assert run(world, release(world.add_package(1))).ending == "rolled-back"


def test_too_few_requests_to_the_new_fleet_veto_the_rollout_while_it_bakes() -> None:
    world = World()
    world.traffic = 0.0
    outcome = run(world, release(world.add_package(1)))
    assert outcome.ending == "rolled-back"
    assert any("fewer than the 5" in reason for reason in outcome.reasons)
    assert_converged(world, outcome, former=world.outputs.endpoint.bootstrap_config_name)


def test_a_release_that_answers_otherwise_than_its_evaluation_is_taken_back() -> None:
    world = World()
    arn = world.add_package(1)
    world.answers = {key: "something else" for key in world.answers}
    outcome = run(world, release(arn))
    assert outcome.ending == "rolled-back"
    assert "the evaluated artefact answers" in outcome.reasons[0]
    assert [config for config, _ in world.updates] == [outcome.endpoint_config, world.outputs.endpoint.bootstrap_config_name]
    assert_converged(world, outcome, former=world.outputs.endpoint.bootstrap_config_name)


def test_autoscaled_instances_survive_a_release_and_a_redeploy_applies_the_spec() -> None:
    world = World()
    world.desired = 5
    first = run(world, release(world.add_package(1)))
    assert world.desired == 5
    assert world.configs[first.endpoint_config]["ProductionVariants"][0]["InitialInstanceCount"] == 5
    again = run(world, Order(operation="redeploy"))
    assert (again.ending, world.desired) == ("released", 2)
    assert [retain for _, retain in world.updates] == [True, False]
    nothing = run(world, Order(operation="redeploy"))
    assert nothing.reasons == ("already live: nothing to do",)
    assert len(world.updates) == 2


def test_rollback_brings_back_the_release_before_and_once_more_the_one_before_that() -> None:
    world = World()
    packages = [world.add_package(n) for n in (1, 2, 3)]
    for arn in packages:
        run(world, release(arn))
    assert run(world, Order(operation="rollback")).model_package_arn == packages[1]
    assert run(world, Order(operation="rollback")).model_package_arn == packages[0]
    with pytest.raises(PreflightError, match="no release before"):
        run(world, Order(operation="rollback"))
    assert world.package_of_live() == packages[0]


def test_restore_after_the_endpoint_came_back_on_bootstrap() -> None:
    world = World()
    released = run(world, release(world.add_package(1)))
    assert run(world, Order(operation="restore")).reasons == ("already live: nothing to do",)
    world.live, world.last_deployment = world.outputs.endpoint.bootstrap_config_name, None
    restored = run(world, Order(operation="restore"))
    assert restored.model_package_arn == released.model_package_arn
    assert_converged(world, restored, former=released.endpoint_config)


def ring(world: World, number: int) -> str:
    name = world.outputs.endpoint.alarm_names[number]
    world.alarm_table[name]["StateValue"] = "ALARM"
    return name


@pytest.mark.parametrize("operation", ["rollback", "restore"])
def test_what_brings_back_a_release_goes_through_while_the_endpoints_alarm_rings(operation: str) -> None:
    world, order = prepared(operation, False)
    ringing = ring(world, 0)
    outcome = run(world, order)
    assert outcome.ending == "released"
    watched = [alarm["AlarmName"] for alarm in (world.last_deployment or {})["AutoRollbackConfiguration"]["Alarms"]]
    other = world.outputs.endpoint.alarm_names[1]
    assert sorted(watched) == sorted([other, *(f"{outcome.endpoint_config}-{kind}" for kind in ("errors", "latency", "veto"))])
    (story,) = [story for story in ledger(world, "promotions/") if story["promotion"] == outcome.promotion]
    assert story["alarms_ringing_before"] == [ringing]
    assert_converged(world, outcome, former="")


def test_an_alarm_that_begins_to_ring_while_a_rollback_bakes_undoes_it_all_the_same() -> None:
    world, order = prepared("rollback", False)
    former = world.live
    ring(world, 0)
    world.alarm_trips = world.outputs.endpoint.alarm_names[1]
    outcome = run(world, order)
    assert outcome.ending == "rolled-back"
    assert_converged(world, outcome, former)


@pytest.mark.parametrize("operation", ["release", "redeploy"])
def test_what_brings_something_new_is_refused_while_the_endpoints_alarm_rings(operation: str) -> None:
    world, order = prepared(operation, False)
    before = len(world.updates)
    name = ring(world, 1)
    with pytest.raises(PreflightError, match="it is in ALARM") as raised:
        run(world, order)
    assert raised.value.where == f"alarm {name}"
    assert len(world.updates) == before


@pytest.mark.parametrize("operation", ["rollback", "restore"])
def test_an_alarm_that_is_missing_or_can_do_nothing_stops_every_operation(operation: str) -> None:
    world, order = prepared(operation, False)
    ring(world, 0)
    world.alarm_table[ring(world, 1)]["ActionsEnabled"] = False
    with pytest.raises(PreflightError, match="its actions are disabled"):
        run(world, order)
    del world.alarm_table[world.outputs.endpoint.alarm_names[1]]
    with pytest.raises(PreflightError, match="the alarm does not exist"):
        run(world, order)


def test_a_finished_promotion_answers_with_its_outcome_and_does_nothing() -> None:
    world = World()
    arn = world.add_package(1)
    first = run(world, release(arn))
    assert run(world, release(arn), run="event-again") == first
    assert len(world.updates) == 1


def test_a_rolled_back_promotion_is_not_tried_again_by_a_second_event() -> None:
    world = World()
    arn = world.add_package(1)
    world.green_fails = True
    first = run(world, release(arn))
    world.green_fails = False
    assert run(world, release(arn), run="event-again") == first
    assert len(world.updates) == 1


CRASH_SCENARIOS = {
    "release": ("release", False),
    "rolled back": ("release", True),
    "rollback": ("rollback", False),
    "redeploy": ("redeploy", False),
    "restore": ("restore", False),
}


def prepared(operation: str, fails: bool) -> tuple[World, Order]:
    world = World()
    run(world, release(world.add_package(1)))
    if operation != "release":
        run(world, release(world.add_package(2)))
    if operation == "redeploy":
        world.desired = 4
    if operation == "restore":
        world.live, world.last_deployment = world.outputs.endpoint.bootstrap_config_name, None
    world.green_fails = fails
    order = release(world.add_package(3)) if operation == "release" else Order(operation=operation)  # type: ignore[arg-type]
    return world, order


@pytest.mark.parametrize("name", CRASH_SCENARIOS)
def test_killed_after_any_call_the_next_run_converges(name: str) -> None:
    operation, fails = CRASH_SCENARIOS[name]
    world, order = prepared(operation, fails)
    before, former = copy.deepcopy(world), world.live
    aws = FakeAws(world)
    clean = Engine(aws, world.outputs, run="clean").execute(order)
    assert clean.ending == ("rolled-back" if fails else "released")
    assert len(aws.calls) > 40
    for point in range(1, len(aws.calls) + 1):
        world = copy.deepcopy(before)
        updates = len(world.updates)
        with pytest.raises(Killed):
            run(world, order, run="killed", kill_after=point)
        # A run that was killed after its last call had ended: asked for by another run, a rollback would be a second one.
        outcome = run(world, order, run="resumed" if point < len(aws.calls) else "killed")
        if outcome.reasons != ("already live: nothing to do",):
            assert (outcome.ending, outcome.promotion) == (clean.ending, clean.promotion), f"after call {point}: {aws.calls[point - 1]}"
        else:
            outcome = clean
        assert_converged(world, outcome, former)
        assert len(world.updates) == updates + 1, f"after call {point}: {aws.calls[point - 1]}"


@pytest.mark.parametrize("name", CRASH_SCENARIOS)
@settings(max_examples=25, derandomize=True)
@given(
    points=st.lists(st.integers(1, 120), min_size=2, max_size=4),
    pauses=st.lists(st.sampled_from([0, 5, 300, 4000]), min_size=4, max_size=4),
)
def test_killed_several_times_it_still_converges(name: str, points: list[int], pauses: list[int]) -> None:
    operation, fails = CRASH_SCENARIOS[name]
    world, order = prepared(operation, fails)
    former, updates = world.live, len(world.updates)
    ended: Outcome | None = None
    for number, (point, pause) in enumerate(zip(points, pauses, strict=False)):
        try:
            ended = run(world, order, run="killed", kill_after=point)
            break
        except Killed:
            world.advance(pause)
        assert world.deleted_in_use == [], number
    outcome = ended or run(world, order, run="killed")
    assert outcome.ending == ("rolled-back" if fails else "released")
    if outcome.reasons != ("already live: nothing to do",):
        assert_converged(world, outcome, former)
    assert len(world.updates) == updates + 1


def test_killed_long_ago_the_next_run_still_knows_that_its_update_was_made() -> None:
    """The service went on by itself, to the end and long past it, before anybody came back."""
    for fails in (False, True):
        world, order = prepared("release", fails)
        former = world.live
        aws = FakeAws(world)

        def kill_after_update(number: int, aws: FakeAws = aws) -> None:
            if aws.calls[-1] == "UpdateEndpoint":
                aws.kill_after = number

        aws.on_call = kill_after_update
        with pytest.raises(Killed):
            Engine(aws, world.outputs, run="killed").execute(order)
        world.advance(7200)
        outcome = run(world, order, run="resumed")
        assert outcome.ending == ("rolled-back" if fails else "released")
        assert_converged(world, outcome, former)


def test_a_second_promotion_is_refused_while_one_runs_and_names_it() -> None:
    world = World()
    first, second = world.add_package(1), world.add_package(2)
    with pytest.raises(Killed):
        run(world, release(first), run="execution-7", kill_after=30)
    with pytest.raises(ConflictError, match=r"dev-p1-1 .* is under way, run by execution-7"):
        run(world, release(second), run="other")
    assert run(world, release(first), run="execution-7").ending == "released"
    assert run(world, release(second), run="other").ending == "released"


def test_a_run_that_was_taken_over_stops_before_its_next_change() -> None:
    world = World()
    arn = world.add_package(1)
    slow = FakeAws(world)

    def taken_over(number: int) -> None:
        if slow.calls[-1] == "Create model":
            slow.on_call = None
            world.advance(3600)
            run(world, release(arn), run="fast")

    slow.on_call = taken_over
    outcome = Engine(slow, world.outputs, run="slow").execute(release(arn))
    assert outcome.ending == "released"
    assert len(world.updates) == 1
    assert_converged(world, outcome, former="")


def test_somebody_elses_update_stops_a_promotion_and_nothing_is_left() -> None:
    world = World()
    world.configs["foreign"] = world.configs[world.live]
    world.start_update(
        "foreign",
        {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 600}, "TerminationWaitInSeconds": 0}},
        retain=False,
    )
    with pytest.raises(ConflictError, match="somebody else"):
        run(world, release(world.add_package(1)))
    assert leftovers(world) == []
    assert len(world.updates) == 1


def test_an_endpoint_in_a_dead_end_after_the_update_is_an_unknown_outcome_and_all_stays() -> None:
    world = World()
    arn = world.add_package(1)
    aws = FakeAws(world)

    def break_it(number: int) -> None:
        if aws.calls[-1] == "UpdateEndpoint":
            world.deployment, world.status = None, "Failed"

    aws.on_call = break_it
    with pytest.raises(OutcomeUnknown, match="Failed"):
        Engine(aws, world.outputs, run="one").execute(release(arn))
    assert len(leftovers(world)) == 5
    with pytest.raises(ConflictError, match="left without an end"):
        run(world, release(world.add_package(2)))


class FlakyAws(FakeAws):
    """UpdateEndpoint fails as told: its answer is lost after it was heard, or it is refused."""

    heard = True

    def update_endpoint(self, name: str, *, config: str, deployment: dict[str, object], retain: bool) -> None:
        if self.heard:
            super().update_endpoint(name, config=config, deployment=deployment, retain=retain)
            error = failure("UpdateEndpoint", "Cannot update in-progress endpoint")
            error.response["ResponseMetadata"]["RetryAttempts"] = 1
            raise error
        raise failure("UpdateEndpoint", "The account-level service limit is 0", "ResourceLimitExceeded")


def test_an_update_whose_answer_was_lost_is_recognised_by_a_look() -> None:
    world = World()
    arn = world.add_package(1)
    outcome = Engine(FlakyAws(world), world.outputs, run="one").execute(release(arn))
    assert outcome.ending == "released"
    assert len(world.updates) == 1


def test_an_update_that_was_refused_changed_nothing_and_leaves_nothing() -> None:
    world = World()
    arn = world.add_package(1)
    aws = FlakyAws(world)
    aws.heard = False
    with pytest.raises(PreflightError, match="ResourceLimitExceeded"):
        Engine(aws, world.outputs, run="one").execute(release(arn))
    assert leftovers(world) == []
    assert world.live == world.outputs.endpoint.bootstrap_config_name
    assert run(world, release(arn)).ending == "released"
