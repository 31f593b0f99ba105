"""The plan of a deployment, as a pure function."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.endpoints.plan import plan, size
from local.cloud.endpoints.switches import Switches

counts = st.integers(1, 20)


def blue_green(kind: str, wait: int = 60, termination: int = 30, **routing: Any) -> dict[str, Any]:
    config = {"Type": kind, "WaitIntervalInSeconds": wait, **routing}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": config, "TerminationWaitInSeconds": termination}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def test_no_policy_is_blue_green_all_at_once() -> None:
    found = plan(None, {"v": 2}, {"v": 3})
    assert found.kind == "ALL_AT_ONCE"
    assert [(s.green, s.blue, s.bake) for s in found.stages] == [({"v": 3}, {"v": 0}, 0.0)]


def test_all_at_once_bakes_for_the_termination_wait() -> None:
    assert [s.bake for s in plan(blue_green("ALL_AT_ONCE", 60, 30), {"v": 1}, {"v": 1}).stages] == [30.0]


def test_canary_shifts_a_part_bakes_and_then_shifts_the_rest() -> None:
    found = plan(blue_green("CANARY", 120, 600, CanarySize=instances(1)), {"v": 4}, {"v": 4})
    assert [(s.green["v"], s.blue["v"], s.bake) for s in found.stages] == [(1, 3, 120.0), (4, 0, 600.0)]
    assert found.stages[0].share("v") == 0.25
    assert found.stages[1].message.startswith("Baking for 600 seconds (TerminationWaitInSeconds)")


def test_a_canary_of_a_single_instance_takes_half_and_not_all() -> None:
    found = plan(blue_green("CANARY", CanarySize=percent(10)), {"v": 1}, {"v": 1})
    assert [s.share("v") for s in found.stages] == [0.5, 1.0]


def test_linear_takes_as_many_shifts_as_steps_fit_in_a_hundred_percent() -> None:
    found = plan(blue_green("LINEAR", LinearStepSize=percent(33)), {"v": 3}, {"v": 3})
    assert [s.green["v"] for s in found.stages] == [1, 2, 3, 3]
    assert [s.blue["v"] for s in found.stages] == [2, 1, 1, 0]
    assert [s.bake for s in found.stages] == [60.0, 60.0, 60.0, 30.0]


def test_thirty_three_percent_of_three_is_one_instance() -> None:
    assert size(percent(33), 3, "nearest") == 1


@pytest.mark.parametrize(("rounding", "expected"), [("nearest", 3), ("ceil", 3), ("floor", 2)])
def test_rounding_is_a_switch(rounding: str, expected: int) -> None:
    assert size(percent(50), 5, rounding) == expected


def test_the_last_bake_is_a_switch() -> None:
    long = plan(blue_green("CANARY", 60, 30, CanarySize=percent(50)), {"v": 2}, {"v": 2}, Switches(last_bake="interval_and_termination"))
    assert [s.bake for s in long.stages] == [60.0, 90.0]


def test_rolling_replaces_batch_by_batch() -> None:
    config = {
        "RollingUpdatePolicy": {"MaximumBatchSize": percent(50), "WaitIntervalInSeconds": 60, "RollbackMaximumBatchSize": percent(100)}
    }
    found = plan(config, {"v": 4}, {"v": 4})
    assert [(s.provision["v"], s.blue["v"], s.retire["v"]) for s in found.stages] == [(2, 2, 2), (4, 0, 2)]
    assert found.rollback_batch == percent(100)


def test_alarms_and_the_time_out_are_taken_from_the_request() -> None:
    config = blue_green("ALL_AT_ONCE") | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}}
    config["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 900
    found = plan(config, {"v": 1}, {"v": 1})
    assert (found.alarms, found.timeout) == (("a", "b"), 900)


policies = st.one_of(
    st.builds(lambda v: blue_green("CANARY", CanarySize=percent(v)), st.integers(1, 50)),
    st.builds(lambda v: blue_green("LINEAR", LinearStepSize=percent(v)), st.integers(10, 50)),
    st.builds(lambda v: blue_green("LINEAR", LinearStepSize=instances(v)), st.integers(1, 10)),
    st.just(blue_green("ALL_AT_ONCE")),
)
fleets = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(counts, counts), min_size=1)


@given(policies, fleets, st.sampled_from(["nearest", "ceil", "floor"]))
def test_a_shift_never_leaves_a_variant_without_instances_and_never_goes_back(
    config: dict[str, Any], fleet: dict[str, Any], rounding: Any
) -> None:
    blue, green = {v: n[0] for v, n in fleet.items()}, {v: n[1] for v, n in fleet.items()}
    stages = plan(config, blue, green, Switches(percent_rounding=rounding)).stages
    assert stages[-1].green == green
    assert not any(stages[-1].blue.values())
    for variant in fleet:
        shares = [s.share(variant) for s in stages]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        for stage in stages:
            assert 1 <= stage.green[variant] <= green[variant]
            assert stage.blue[variant] <= blue[variant]
        for stage in stages[:-1]:
            assert stage.blue[variant] >= 1
            assert not any(stage.retire.values())
    assert stages[-1].retire == blue


@given(st.integers(1, 50), st.integers(1, 50))
def test_a_canary_never_takes_more_than_half_the_traffic(value: int, count: int) -> None:
    first = plan(blue_green("CANARY", CanarySize=percent(value)), {"v": count}, {"v": count}).stages[0]
    assert first.share("v") <= 0.5 + 0.5 / count


@given(st.integers(5, 50), counts, counts)
def test_rolling_retires_exactly_the_old_fleet(value: int, blue: int, green: int) -> None:
    config = {"RollingUpdatePolicy": {"MaximumBatchSize": percent(value), "WaitIntervalInSeconds": 0}}
    stages = plan(config, {"v": blue}, {"v": green}).stages
    assert sum(s.retire["v"] for s in stages) == blue
    assert stages[-1].provision == {"v": green}
    for before, after in pairwise(stages):
        assert before.provision["v"] <= after.provision["v"]
        assert before.blue["v"] - after.blue["v"] == after.retire["v"]
    for stage in stages:
        assert stage.green["v"] + stage.blue["v"] >= 1
