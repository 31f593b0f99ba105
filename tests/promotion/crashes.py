"""The release step, killed with SIGKILL, against the embedded cloud and under load; then a new run of the same promotion must converge.

A good release is killed after each of its AWS calls in turn, each point in a promotion of its own. A bad one does what a good one does up
to UpdateEndpoint, and is killed after that call and each that follows. A redeploy is killed at every place in the code from which a call is
made, each run at the next new place; a restore and a rollback, whose code is nearly the same, at a share of the places. (In memory every
operation is killed after each call: `test_engine`.) The points are shared out among tests in two files, so that two workers can take them.
"""

from __future__ import annotations

import signal
from contextlib import closing
from typing import Any

from tests.promotion.conftest import Runner
from tests.promotion.site import Site

SHARES = 4
CLOCK_SPEED = 800.0
ROLLOUT = {"minimum_green_invocations": 1}  # on this clock a bake takes half a second


def assert_converged(site: Site, outcome: dict[str, Any], answer: str, config: str, what: str) -> None:
    """One release serves, the ledger names it and tells of the promotion once, nothing is left over and nobody holds the endpoint."""
    described = site.describe()
    assert described["EndpointStatus"] == "InService", what
    assert described["EndpointConfigName"] == config, what
    assert "PendingDeploymentSummary" not in described, what
    assert site.answers() == answer, what
    assert site.leftovers() == [], what
    promotion = outcome["promotion"]
    assert site.lease()["finished"], what
    (story,) = site.ledger(f"promotions/{promotion}/").values()
    assert story["outcome"] == outcome["ending"], what
    releases = site.ledger_keys("releases/")
    assert sum(key.endswith(f"-{promotion}.json") for key in releases) == (1 if outcome["ending"] == "released" else 0), what
    (newest,) = site.ledger(releases[-1]).values()
    assert newest["endpoint_config"] == config, what


def _successor(number: int) -> str:
    """A step that is tried again has its run's name, and goes on at once; any other waits until the lease has run out."""
    return "killed" if number % 2 else "resumed"


def assert_nothing_in_use_was_deleted(site: Site, what: str) -> None:
    described = site.describe()
    pending = described.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    for config in {described["EndpointConfigName"], pending} - {None}:
        for variant in site.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]:
            assert site.sagemaker.describe_model(ModelName=variant["ModelName"]), what


def kill_after_each_call_of(share: int, site: Site, runner: Runner) -> None:
    """Kill after call `share + 1`, `share + 1 + SHARES` and so on, until a run ends before its point is reached."""
    point = share + 1
    killed: list[str] = []
    with site.load() as load:
        while True:
            answer = f"{share} at {point}"
            package = site.package(answer, promotion=f"dev-share{share}-{point}")
            first = runner.release(package, run="killed", kill_after=point)
            if first["signal"] == 0:
                break
            assert first["signal"] == signal.SIGKILL
            killed.append(first["calls"][-1])
            second = runner.release(package, run=_successor(point // SHARES))
            what = f"killed after call {point}, {first['calls'][-3:]}: {second}"
            assert second.get("outcome", {}).get("ending") == "released", what
            assert_converged(site, second["outcome"], answer, second["outcome"]["endpoint_config"], what)
            point += SHARES
    assert load.failures == []
    assert sum(load.answers.values()) > 10
    assert len(killed) >= 10


def kill_a_bad_one_after_each_call_of(share: int, site: Site, runner: Runner) -> None:
    """As `kill_after_each_call_of`, from UpdateEndpoint on and for every second call, with releases that the alarm catches."""
    with site.load():
        former = runner.release(site.package(f"good {share}", promotion=f"dev-good{share}-1"))["outcome"]
    assert former["ending"] == "released", former
    point, killed = 1 + share, 0
    with site.load(per_second=40, body="late category") as load:
        while True:
            package = site.package(f"bad {share} {point}", fails_on="category", promotion=f"dev-bad{share}-{point}")
            first = runner.release(package, run="killed", kill_after=point, count_from="UpdateEndpoint")
            if first["signal"] == 0:
                break
            killed += 1
            assert_nothing_in_use_was_deleted(site, f"killed after call {point}")
            second = runner.release(package, run=_successor(point // 2))
            failed = len(load.failures)
            what = f"killed after call {point} from UpdateEndpoint on, {first['calls'][-3:]}: {second}"
            assert second.get("outcome", {}).get("ending") == "rolled-back", what
            assert second["exit_code"] == 4, what
            assert_converged(site, second["outcome"], f"good {share}", former["endpoint_config"], what)
            assert len(load.failures) == failed, what
            point += 2
    assert load.failures
    assert all("ModelError" in failure for failure in load.failures)
    assert set(load.answers) == {f"good {share}"}
    assert killed >= 5


def kill_at_each_place_of(operation: str, site: Site) -> None:
    """Kill the operation's first run at the first place from which it calls AWS, the next at the first place that is new, and so on, until
    a run meets no place where none was killed. The bakes are longer here, so that there is time to be killed in."""
    one_in = 1 if operation == "redeploy" else 4
    rollout = site.outputs.rollout.model_copy(update={"wait_interval_seconds": 2400})
    with closing(Runner(site, site.outputs.model_copy(update={"rollout": rollout}))) as runner:
        answer = f"before {operation}"
        for number in (1, 2):
            at = site.package(f"{answer} {number}", promotion=f"dev-{operation}-{number}")
            with site.load():
                assert runner.release(at)["outcome"]["ending"] == "released"
        _prepare(operation, site)
        sites: list[str] = []
        with site.load() as load:
            while True:
                ended = runner(operation, run="again and again", known_sites=sites, one_in=one_in)
                if not ended["site"]:
                    break
                assert ended["signal"] == signal.SIGKILL
                sites.append(ended["site"])
                assert_nothing_in_use_was_deleted(site, sites[-1])
    what = f"{operation}, killed {len(sites)} times: {ended}"
    assert ended.get("outcome", {}).get("ending") == "released", what
    served = f"{answer} 1" if operation == "rollback" else f"{answer} 2"
    assert_converged(site, ended["outcome"], served, ended["outcome"]["endpoint_config"], what)
    assert load.failures == []
    assert len(sites) > 40 / one_in, sites
    if one_in == 1:
        made = {
            "UpdateEndpoint",
            "CreateModel",
            "CreateEndpointConfig",
            "PutMetricAlarm",
            "PutObject",
            "DeleteModel",
            "DeleteEndpointConfig",
        }
        assert {place.split(">")[-1] for place in sites} >= made


def _prepare(operation: str, site: Site) -> None:
    """What gives the operation something to do."""
    if operation == "redeploy":
        change = {"VariantName": site.outputs.serving.variant_name, "DesiredInstanceCount": 1}
        site.sagemaker.update_endpoint_weights_and_capacities(EndpointName=site.outputs.endpoint.name, DesiredWeightsAndCapacities=[change])
        site.settled()
    if operation == "restore":
        site.sagemaker.update_endpoint(
            EndpointName=site.outputs.endpoint.name, EndpointConfigName=site.outputs.endpoint.bootstrap_config_name
        )
        site.settled()
