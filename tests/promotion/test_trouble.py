"""Trouble on the embedded cloud, under load: answers that get lost, throttling, old looks, runs that stand still, several at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.promotion import crashes
from tests.promotion.conftest import Runner
from tests.promotion.site import Site

CLOCK_SPEED = crashes.CLOCK_SPEED
ROLLOUT = crashes.ROLLOUT
RUNNING_OUT = {"lost": ["lost"], "lost once": ["lost once"], "throttled": ["throttled"] * 3}


@pytest.fixture(scope="module")
def other(site: Site) -> Iterator[Runner]:
    made = Runner(site)
    yield made
    made.close()


def assert_released(site: Site, ended: dict[str, Any], answer: str) -> None:
    assert ended.get("outcome", {}).get("ending") == "released", ended
    crashes.assert_converged(site, ended["outcome"], answer, ended["outcome"]["endpoint_config"], f"{ended}")


@pytest.mark.parametrize("fault", ["lost", "lost once", "throttled"])
def test_calls_that_get_no_answer_are_asked_again_and_nothing_is_done_twice(site: Site, runner: Runner, fault: str) -> None:
    """Each change, and the looks: the journal's writes too, a few of them."""
    changes = ("CreateModel", "CreateEndpointConfig", "PutMetricAlarm", "UpdateEndpoint", "PutObject", "DeleteModel", "DescribeEndpoint")
    faults = {operation: list(RUNNING_OUT[fault][:1]) for operation in changes} | {"PutItem": ["ok"] * 12 + RUNNING_OUT[fault]}
    answer = f"after {fault}"
    with site.load() as load:
        ended = runner.release(site.package(answer, promotion=f"dev-{fault.replace(' ', '-')}-1"), faults=faults)
    assert_released(site, ended, answer)
    assert load.failures == []


def test_looks_that_are_old_are_neither_taken_for_a_rollback_nor_for_leave_to_ask_again(site: Site, runner: Runner) -> None:
    """Looks from before the update: at once after it, and when the deployment was seen under way already, and to its end."""
    for number, looks in enumerate((["ok", "ok"] + ["stale"] * 3, ["ok"] * 4 + ["ancient"] * 3 + ["ok"] + ["ancient"] * 4)):
        answer = f"old looks {number}"
        with site.load() as load:
            ended = runner.release(site.package(answer, promotion=f"dev-stale{number}-1"), faults={"DescribeEndpoint": list(looks)})
        assert_released(site, ended, answer)
        assert load.failures == []


@pytest.mark.parametrize("change", ["CreateEndpointConfig", "UpdateEndpoint", "PutObject", "DeleteEndpointConfig"])
def test_a_run_that_is_stopped_and_goes_on_after_its_lease_ran_out_does_no_harm(site: Site, runner: Runner, change: str) -> None:
    """SIGSTOP between the journal's leave and the call that is about to be made; another run ends the promotion; SIGCONT."""
    answer = f"stopped before {change}"
    package = site.package(answer, promotion=f"dev-stopped-{change}-1".lower())
    with site.load() as load:
        stopped = runner.release(package, run="stopped", stop_before=change)
        assert "stopped" in stopped
        ended = runner.release(package, run="other")
        assert_released(site, ended, answer)
        late = runner.go_on(stopped)
        assert late.get("outcome") == ended["outcome"], late
        if change == "UpdateEndpoint":  # the config that is live was deployed once more
            site.settled()
        assert_released(site, ended, answer)
    assert load.failures == []


def test_a_bad_release_that_is_stopped_before_its_update_is_rolled_back_by_another_and_not_brought_back(site: Site, runner: Runner) -> None:
    with site.load():
        former = runner.release(site.package("good", promotion="dev-good-1"))["outcome"]
    assert former["ending"] == "released", former
    package = site.package("bad", fails_on="category", promotion="dev-bad-1")
    with site.load(per_second=40, body="late category") as load:
        stopped = runner.release(package, run="stopped", stop_before="UpdateEndpoint")
        ended = runner.release(package, run="other")
        failed = len(load.failures)
        late = runner.go_on(stopped)
    assert ended["outcome"]["ending"] == "rolled-back"
    assert late["outcome"] == ended["outcome"]
    assert late["exit_code"] == 4
    crashes.assert_converged(site, ended["outcome"], "good", former["endpoint_config"], f"{late}")
    assert load.failures
    assert len(load.failures) == failed


def test_two_runs_at_a_time_of_one_promotion_end_alike_and_another_promotion_is_refused(site: Site, runner: Runner, other: Runner) -> None:
    for number in range(2):
        answer = f"two at a time {number}"
        package = site.package(answer, promotion=f"dev-twice{number}-1")
        with site.load() as load, ThreadPoolExecutor(2) as both:
            ends = list(both.map(lambda args: args[0].release(package, run=args[1]), [(runner, "one"), (other, "two")]))  # noqa: B023
        assert ends[0]["outcome"] == ends[1]["outcome"]
        assert_released(site, ends[0], answer)
        assert load.failures == []
    packages = [site.package(f"rival {n}", promotion=f"dev-rival{n}-1") for n in range(2)]
    with site.load() as load, ThreadPoolExecutor(2) as both:
        ends = list(both.map(lambda args: args[0].release(args[1], run=args[1]), zip((runner, other), packages, strict=True)))
    released = [end for end in ends if "outcome" in end]
    assert released
    for end in ends:
        assert "outcome" in end or (end["error"] == "ConflictError" and "is under way" in end["message"]), end
    last = max(released, key=lambda end: end["outcome"]["at"])
    assert_released(site, last, site.answers())
    assert load.failures == []
