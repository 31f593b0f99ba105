"""Killed after each AWS call: the first half of the points (see `crashes`)."""

from __future__ import annotations

import pytest

from tests.promotion import crashes
from tests.promotion.conftest import Runner
from tests.promotion.site import Site

CLOCK_SPEED = crashes.CLOCK_SPEED
ROLLOUT = crashes.ROLLOUT


@pytest.mark.parametrize("share", [0, 2])
def test_killed_after_any_call_a_new_run_converges_and_no_request_is_lost(site: Site, runner: Runner, share: int) -> None:
    crashes.kill_after_each_call_of(share, site, runner)


def test_a_bad_release_killed_after_any_call_is_rolled_back_and_only_what_green_answered_is_lost(site: Site, runner: Runner) -> None:
    crashes.kill_a_bad_one_after_each_call_of(0, site, runner)


@pytest.mark.parametrize("operation", ["redeploy"])
def test_an_operation_killed_at_any_place_converges_and_no_request_is_lost(site: Site, operation: str) -> None:
    crashes.kill_at_each_place_of(operation, site)
