"""A cloud for each worker that needs one, and processes in which releases run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.outputs import EnvironmentOutputs
from tests.promotion.site import Site

SPEED = 400.0
ROOT = Path(__file__).resolve().parents[2]


class Runner:
    """Runs orders in forks of a process that has everything imported; what may befall each, `zygote.Fate` says."""

    def __init__(self, site: Site, outputs: EnvironmentOutputs | None = None) -> None:
        self.site = site
        credentials = site.session.get_credentials().get_frozen_credentials()
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {
            "AWS_ENDPOINT_URL": site.cloud.url,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.token,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": str(ROOT),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.promotion.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=ROOT, text=True
        )
        assert self._ask({"outputs": (outputs or site.outputs).model_dump(mode="json")}) == {"ready": True}

    def __call__(self, operation: str, package: str = "", *, run: str = "run", **fate: Any) -> dict[str, Any]:
        """What came of it: {"signal", "calls", and "outcome" or "error", ...}, or {"stopped": pid}."""
        with self.site.paced():
            return self._ask({"order": {"operation": operation, "model_package_arn": package}, "run": run, "fate": fate})

    def release(self, package: str, *, run: str = "run", **fate: Any) -> dict[str, Any]:
        return self("release", package, run=run, **fate)

    def go_on(self, stopped: dict[str, Any]) -> dict[str, Any]:
        """Let a run that was stopped go on, to its end."""
        with self.site.paced():
            return self._ask({"go_on": stopped["stopped"]})

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(90)


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployed environment on a fast clock; a module's CLOCK_SPEED and CLOCK_OFFSET set it faster and ahead of this machine's."""
    from local.cloud.server import running

    offset = getattr(request.module, "CLOCK_OFFSET", 0.0)
    speed = getattr(request.module, "CLOCK_SPEED", SPEED)
    with running(tmp_path_factory.mktemp("cloud"), speed=speed, offset=offset) as cloud:
        yield Site(cloud, rollout=getattr(request.module, "ROLLOUT", {}))


@pytest.fixture(scope="module")
def runner(site: Site) -> Iterator[Runner]:
    made = Runner(site)
    yield made
    made.close()
