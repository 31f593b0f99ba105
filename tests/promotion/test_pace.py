"""How long between two looks, and how many of them: by the service's clock."""

from __future__ import annotations

import pytest

from pipelines.promotion.pace import Pace, Patience
from tests.promotion.fake import FakeAws
from tests.promotion.world import World


def test_looks_are_paced_by_the_services_clock() -> None:
    """On a clock thirty times as fast as ours, ten of its seconds are a third of one of ours."""

    class Sleeper(FakeAws):
        slept: tuple[float, ...] = ()

        def sleep(self, seconds: float) -> None:
            self.slept += (seconds,)

    world = World()
    aws, here = Sleeper(world), [0.0]
    pace = Pace(aws, every=10.0, local=lambda: here[0])
    pace.pause()
    here[0], aws._now = 1.0, 30.0
    pace.pause()
    here[0], aws._now = 2.0, 2000.0
    pace.pause()
    assert aws.slept[0] < 0.1
    assert aws.slept[1] == pytest.approx(1 / 3)
    assert aws.slept[2] == pytest.approx(0.1)


def test_patience_is_spent_by_time_and_looks_together() -> None:
    """A run that stood still for an hour has not looked for an hour."""
    aws = FakeAws(World())
    patience = Patience(aws, 30)
    assert not patience.spent()
    aws._now += 3600
    assert [patience.spent() for _ in range(3)] == [False, False, True]
    assert patience.waited() == 3600
