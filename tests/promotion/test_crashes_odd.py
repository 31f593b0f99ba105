"""Killed after each AWS call: the other half of the points (see `crashes`)."""

from __future__ import annotations

import pytest

from tests.promotion import crashes
from tests.promotion.conftest import Runner
from tests.promotion.site import Site

CLOCK_SPEED = crashes.CLOCK_SPEED
ROLLOUT = crashes.ROLLOUT


@pytest.mark.parametrize("share", [1, 3])
def test_killed_after_any_call_a_new_run_converges_and_no_request_is_lost(site: Site, runner: Runner, share: int) -> None:
    crashes.kill_after_each_call_of(share, site, runner)
