"""The chain that the end-to-end tests share, each link made once and only when a test asks for it.

The cloud's clock is a day ahead of this machine's, all the time: nothing may depend on the two being equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lockstep.demo.live_requests import live_requests
from lockstep.demo.traffic import Tally, Traffic
from tests.e2e.rehearsal import Done, Rehearsal

DAY = 86_400.0
SPEED = 30.0
RATE = 50.0
WORKLOAD = "mortgage"


@dataclass(frozen=True)
class Rollout:
    """A promotion under load, and what its endpoint answered before and after."""

    done: Done
    tally: Tally
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    made = Rehearsal.start(tmp_path_factory.mktemp("rehearsal") / "project", speed=SPEED, offset=DAY)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def chain(rehearsal: Rehearsal) -> Rehearsal:
    """dev and staging deployed, with the images and data that they need. How long a request takes on a busy machine is no verdict here."""
    patient = {("alarms", guard, "latencyP99Milliseconds"): 60_000 for guard in ("endpoint", "release")}
    for environment in ("dev", "staging"):
        rehearsal.edit(environment, patient)
    rehearsal.up("dev", "staging")
    rehearsal.lockstep("image", "push", "dev").ok()
    rehearsal.lockstep("image", "push", "staging", "--toolkit").ok()
    rehearsal.lockstep("data", "push", "dev").ok()
    rehearsal.lockstep("data", "push", "staging").ok()
    return rehearsal


@pytest.fixture(scope="session")
def good(chain: Rehearsal) -> Rollout:
    """The shipped candidate, trained in dev and promoted to staging under load."""
    return promote_under_load(chain, train(chain))


@pytest.fixture(scope="session")
def bad(chain: Rehearsal, good: Rollout) -> Rollout:
    """The second candidate of the demo: the same gates passed, and code that some live requests break."""
    pushed = chain.lockstep("image", "push", "dev", WORKLOAD, "--overlay", "demo/mortgage-bands").ok()
    digests = re.findall(r"sha256:[0-9a-f]{64}", pushed.output)
    return promote_under_load(chain, train(chain, "--image", digests[-1]))


def train(chain: Rehearsal, *options: str) -> str:
    """Version of the package that a training run registers."""
    done = chain.lockstep("pipeline", "run", "dev", "training", *options).ok()
    versions = re.findall(r"model-package/[\w-]+/(\d+)", done.output)
    assert versions, done.output
    return str(versions[-1])


def promote_under_load(chain: Rehearsal, version: str) -> Rollout:
    name = chain.outputs("staging")["endpoint"]["name"]
    client = chain.session("staging").client("sagemaker")
    before = client.describe_endpoint(EndpointName=name)
    load = Traffic(chain.session("staging"), name, live_requests(WORKLOAD), content_type="text/csv", rate=RATE)
    with load:
        done = chain.lockstep("promote", "--from", "dev", "--to", "staging", "--model-package", version)
    return Rollout(done, load.tally, before, client.describe_endpoint(EndpointName=name))
