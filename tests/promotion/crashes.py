"""The release step, killed with SIGKILL after each of its AWS calls in turn, against the embedded cloud and under load.

Each point is killed in a promotion of its own; then a new run of the same promotion must converge. The points are shared out among tests in
two files, so that two workers can take them.
"""

from __future__ import annotations

import signal

from tests.promotion.conftest import Runner
from tests.promotion.site import Site

SHARES = 4
CLOCK_SPEED = 800.0
ROLLOUT = {"minimum_green_invocations": 1}  # on this clock a bake takes half a second


def assert_converged(site: Site, promotion: str, answer: str, config: str, what: str) -> None:
    described = site.describe()
    assert described["EndpointStatus"] == "InService", what
    assert described["EndpointConfigName"] == config, what
    assert "PendingDeploymentSummary" not in described, what
    assert site.answers() == answer, what
    assert site.leftovers() == [], what
    stories = site.ledger(f"promotions/{promotion}/")
    assert len(stories) == 1, what
    releases = [entry for entry in site.ledger("releases/").values() if entry["promotion"] == promotion]
    (story,) = stories.values()
    assert len(releases) == (1 if story["outcome"] == "released" else 0), what


def kill_after_each_call_of(share: int, site: Site, runner: Runner) -> None:
    """Kill after call `share + 1`, `share + 1 + SHARES` and so on, until a run ends before its point is reached."""
    point = share + 1
    killed: list[str] = []
    with site.load() as load:
        while True:
            promotion = f"dev-share{share}-{point}"
            answer = f"{share} at {point}"
            package = site.package(answer, promotion=promotion)
            first = runner.release(package, run="killed", kill_after=point)
            if first["signal"] == 0:
                break
            assert first["signal"] == signal.SIGKILL
            killed.append(first["calls"][-1])
            second = runner.release(package, run="resumed")
            what = f"killed after call {point}, {first['calls'][-3:]}: {second}"
            assert second.get("outcome", {}).get("ending") == "released", what
            assert_converged(site, promotion, answer, second["outcome"]["endpoint_config"], what)
            point += SHARES
    assert load.failures == []
    assert sum(load.answers.values()) > 10
    assert len(killed) >= 10
