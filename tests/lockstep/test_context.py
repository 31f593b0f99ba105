"""Which cloud is meant, with whose rights, and what a deployed environment says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import PreflightError, UsageError
from local.cloud.server import running
from lockstep import aws, context
from lockstep.cloud_process import RunningCloud
from lockstep.context import NotDeployed


@pytest.fixture
def cloud(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCloud]:
    """A cloud whose clock is a day ahead and fast: twelve hours pass in twelve seconds."""
    with running(home=tmp_path / "cloud", speed=3600.0, offset=86400.0) as made:
        at = RunningCloud(os.getpid(), int(made.url.rsplit(":", 1)[1]), made.url, "")
        monkeypatch.setattr("lockstep.context.running_cloud", lambda: at)
        yield at


@pytest.mark.parametrize(
    ("variable", "runs", "expected"), [("local", False, "local"), ("aws", True, "aws"), ("", True, "local"), ("", False, "aws")]
)
def test_the_target(project: Path, monkeypatch: pytest.MonkeyPatch, variable: str, runs: bool, expected: str) -> None:
    monkeypatch.setenv("LOCKSTEP_TARGET", variable)
    monkeypatch.setattr(context, "running_cloud", lambda: object() if runs else None)
    assert context.target() == expected


def test_an_unknown_target_is_a_usage_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_TARGET", "azure")
    with pytest.raises(UsageError, match="azure"):
        context.target()


def test_a_session_is_of_the_environments_account_whatever_the_shell_says(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-account")
    monkeypatch.setenv("AWS_PROFILE", "that-nobody-has")
    for environment, account in (("dev", "111111111111"), ("prod", "333333333333")):
        assert context.session(environment).client("sts").get_caller_identity()["Account"] == account


def test_local_credentials_renew_themselves(cloud: RunningCloud) -> None:
    session = aws.LocalSession("111111111111", "us-east-1", cloud)
    sts = session.client("sts")
    sts.get_caller_identity()
    credentials = session.get_credentials()
    assert credentials is not None
    first = credentials.get_frozen_credentials()
    cloud.clock({"advance": 2 * aws.SESSION_SECONDS})
    credentials._expiry_time = credentials._time_fetcher()  # type: ignore[attr-defined]  # as when the real seconds have passed
    assert credentials.get_frozen_credentials() != first
    assert sts.get_caller_identity()["Account"] == "111111111111"


def test_an_environment_that_is_not_deployed(cloud: RunningCloud) -> None:
    with pytest.raises(NotDeployed, match="dev is not deployed") as caught:
        context.outputs("dev")
    assert caught.value.exit_code == 1, "neither the command line nor a file is wrong"
    assert caught.value.remedy == "Deploy it with `pulumi up -s dev`."


def test_outputs_of_another_version(cloud: RunningCloud) -> None:
    s3, bucket = context.session("dev").client("s3"), context.names("dev").bucket("artefacts")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="environment/outputs.json", Body=b'{"project": "lockstep", "colour": "blue"}')
    with pytest.raises(PreflightError, match="of another version"):
        context.outputs("dev")


def test_without_credentials_it_says_what_was_tried(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_TARGET", "aws")
    with pytest.raises(PreflightError, match="no credentials for account 222222222222") as caught:
        context.session("staging")
    assert "lockstep-staging: there is no such profile" in caught.value.message
