"""The demo's own decisions; the demo itself is run by CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.errors import LockstepError
from lockstep import context
from lockstep.demo.runner import Runner, Step
from lockstep.demo.steps import Demo, trained
from tests.lockstep.conftest import Ran


def package(version: int, digest: str, **other: Any) -> dict[str, Any]:
    arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/lockstep-dev-mortgage/{version}"
    known = {"version": version, "model_package_arn": arn, "image_digest": digest, "status": "Completed", "approval": "Approved"}
    return {**known, **other}


def test_a_candidate_of_the_same_image_is_not_trained_again() -> None:
    packages = [package(9, "sha256:b"), package(10, "sha256:a"), package(2, "sha256:a")]
    assert trained(packages, "sha256:a") == packages[1]["model_package_arn"]
    assert trained(packages, "sha256:c") is None
    assert trained([], "sha256:a") is None


def test_a_package_that_was_rejected_or_failed_is_no_candidate() -> None:
    packages = [package(1, "sha256:a", approval="Rejected"), package(2, "sha256:a", status="Failed")]
    assert trained(packages, "sha256:a") is None


def test_a_shell_that_means_aws_gets_no_demo_whether_a_cloud_runs_or_not(
    lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Demo, "play", lambda self: pytest.fail("it was played"))
    monkeypatch.setenv("LOCKSTEP_TARGET", "aws")
    ran = lockstep("demo")
    assert (ran.code, ran.out) == (2, "")
    assert "environment variable LOCKSTEP_TARGET: this shell means AWS" in ran.err


def test_what_the_demo_itself_asks_is_asked_of_the_embedded_cloud(lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setenv("LOCKSTEP_TARGET", "")
    monkeypatch.setattr(Demo, "play", lambda self: asked.append(context.target()))
    monkeypatch.setattr(Demo, "show_status", lambda self: None)
    assert lockstep("demo").code == 0
    assert asked == ["local"]


def test_a_step_that_fails_names_the_log_of_its_own_cloud(project: Path) -> None:
    step = Step(title="fail", argv=[sys.executable, "-c", "raise SystemExit(3)"], shown="fail", environment={})
    with pytest.raises(LockstepError, match="exit code 3, not 0") as raised:
        Runner(project, context.errors, total=1).run(step)
    assert str(Path(os.environ["LOCKSTEP_HOME"], "cloud", "cloud.log")) in str(raised.value.remedy)
