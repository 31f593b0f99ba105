"""Faults other than death, against AWS in memory: a promotion ends as it would have, and never says what is not so."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import LockstepError, OutcomeUnknown
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Order
from tests.promotion.faults import EVENTUAL, WRITES, Fault, FaultyAws
from tests.promotion.flow import assert_converged, leftovers, release, run
from tests.promotion.test_engine import CRASH_SCENARIOS, prepared
from tests.promotion.world import World, failure


def carried_out(world: World, order: Order, aws: FaultyAws, what: str) -> Outcome:
    try:
        return Engine(aws, world.outputs, run="one").execute(order)
    except LockstepError as error:
        raise AssertionError(f"{what}: {aws.met}") from error


def faults_of(number: int, call: str) -> list[Fault]:
    """What may happen to a call: a write may be done all the same, a read may be old."""
    fates = [(Fault.THROTTLED, Fault.RESET, Fault.BROKEN)[number % 3]]
    return fates + [Fault.LOST] * (call in WRITES) + [Fault.STALE, Fault.ANCIENT] * (call in EVENTUAL)


@pytest.mark.parametrize("name", CRASH_SCENARIOS)
def test_one_fault_at_any_call_changes_nothing_about_the_end(name: str) -> None:
    operation, fails = CRASH_SCENARIOS[name]
    world, order = prepared(operation, fails)
    before, former = copy.deepcopy(world), world.live
    calls: list[str] = []
    plain = FaultyAws(world, lambda number, call: calls.append(call))  # type: ignore[func-returns-value]
    clean = Engine(plain, world.outputs, run="clean").execute(order)
    assert len(calls) > 40
    met = set()
    for number, call in enumerate(calls, 1):
        faults = faults_of(number, call)
        for fault in faults if operation == "release" else [faults[number % len(faults)]]:
            world = copy.deepcopy(before)
            aws = FaultyAws(world, {number: fault})
            outcome = carried_out(world, order, aws, f"call {number}")
            met |= {fault for _, fault in aws.met}
            what = f"call {number}, {aws.met}"
            assert (outcome.ending, outcome.promotion) == (clean.ending, clean.promotion), what
            assert len(world.updates) == len(before.updates) + 1, what
            assert_converged(world, outcome, former)
    assert met == set(Fault)


@pytest.mark.parametrize("name", CRASH_SCENARIOS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    first=st.integers(1, 110),
    length=st.integers(2, 10),
    fault=st.sampled_from(sorted(Fault, key=lambda fault: fault.name)),
    again=st.integers(20, 200),
)
def test_a_burst_of_faults_is_outlived(name: str, first: int, length: int, fault: Fault, again: int) -> None:
    """All calls of a while; reads that promise no order go on being old, at a second time as well."""
    operation, fails = CRASH_SCENARIOS[name]
    world, order = prepared(operation, fails)
    former, updates = world.live, len(world.updates)
    old = fault in (Fault.STALE, Fault.ANCIENT)

    def burst(number: int, call: str) -> Fault | None:
        met = first <= number < first + length or (old and again <= number < again + length)
        return fault if met and (call in EVENTUAL) >= old else None

    outcome = carried_out(world, order, FaultyAws(world, burst), f"{fault} from {first}")
    assert outcome.ending == ("rolled-back" if fails else "released")
    assert len(world.updates) == updates + 1
    assert_converged(world, outcome, former)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOST, Fault.THROTTLED])
def test_an_outage_ends_a_run_truthfully_and_the_next_one_converges(fault: Fault, fails: bool) -> None:
    world, order = prepared("release", fails)
    before, former = copy.deepcopy(world), world.live
    plain = FaultyAws(world, {})
    Engine(plain, world.outputs, run="clean").execute(order)
    unknown = refused = 0
    for first in range(1, plain.number, 3):
        world = copy.deepcopy(before)
        aws = FaultyAws(world, lambda number, call, first=first: fault if number >= first else None)  # type: ignore[misc]
        with pytest.raises(LockstepError) as raised:
            Engine(aws, world.outputs, run="cut off").execute(order)
        asked = len(world.updates) > len(before.updates)
        assert isinstance(raised.value, OutcomeUnknown) or not asked, f"from call {first}"
        unknown += isinstance(raised.value, OutcomeUnknown)
        refused += not asked
        world.advance(7200)
        outcome = run(world, order, run="resumed")
        assert outcome.ending == ("rolled-back" if fails else "released")
        assert len(world.updates) == len(before.updates) + 1
        assert_converged(world, outcome, former)
    assert unknown
    assert refused


def test_a_revert_whose_answer_is_lost_and_whose_effect_is_seen_late_still_ends_as_rolled_back() -> None:
    for fault in (Fault.LOST, Fault.RESET, Fault.THROTTLED):
        for late in range(6):
            world = World()
            good = run(world, release(world.add_package(1)))
            arn = world.add_package(2)
            world.answers = {key: "something else" if arn in key else answer for key, answer in world.answers.items()}
            updates: list[int] = []

            def rule(number: int, call: str, fault: Fault = fault, late: int = late, updates: list[int] = updates) -> Fault | None:
                if call == "update_endpoint":
                    updates.append(number)
                    return fault if len(updates) == 2 else None
                looks = call == "endpoint" and len(updates) > 1
                return Fault.STALE if looks and number < updates[1] + late else None

            outcome = carried_out(world, release(arn), FaultyAws(world, rule), f"{fault}, {late} looks late")
            assert outcome.ending == "rolled-back"
            assert_converged(world, outcome, good.endpoint_config)
            assert [config for config, _ in world.updates[1:]] == [outcome.endpoint_config, good.endpoint_config]


def test_a_refusal_of_the_update_is_believed_only_if_it_was_asked_once() -> None:
    """The SDK asked twice, the second was refused for another reason, and the looks that follow are old: the first was heard."""

    class Twice(FaultyAws):
        def update_endpoint(self, name: str, *, config: str, deployment: dict[str, object], retain: bool) -> None:
            super().update_endpoint(name, config=config, deployment=deployment, retain=retain)
            error = failure("UpdateEndpoint", "The account-level service limit is 0", "ResourceLimitExceeded")
            error.response["ResponseMetadata"]["RetryAttempts"] = 1
            raise error

    world = World()
    arn = world.add_package(1)
    asked: list[int] = []

    def old_looks(number: int, call: str) -> Fault | None:
        if world.updates:
            asked.append(number)
        return Fault.STALE if asked and call == "endpoint" and number < asked[0] + 3 else None

    outcome = carried_out(world, release(arn), Twice(world, old_looks), "asked twice")
    assert outcome.ending == "released"
    assert len(world.updates) == 1
    assert leftovers(world) == []
