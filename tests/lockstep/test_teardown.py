"""What `lockstep teardown` counts, refuses and removes. The whole of it is tried on a deployed environment in tests/e2e."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from infra.errors import ConflictError, LockstepError
from infra.naming import Names
from local.cloud.server import running
from lockstep import aws, context
from lockstep.cloud_process import RunningCloud
from lockstep.teardown import holdings, steps
from tests.lockstep.conftest import Ran, change_stack


@pytest.fixture
def cloud(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCloud]:
    with running(home=tmp_path / "cloud") as made:
        at = RunningCloud(os.getpid(), int(made.url.rsplit(":", 1)[1]), made.url, "")
        monkeypatch.setattr("lockstep.context.running_cloud", lambda: at)
        monkeypatch.setenv("LOCKSTEP_TARGET", "local")
        yield at


@pytest.fixture
def session(cloud: RunningCloud) -> boto3.Session:
    return aws.LocalSession("111111111111", "us-east-1", cloud)


@pytest.fixture
def names(project: Path) -> Names:
    return context.names("dev")


def fill(session: boto3.Session, names: Names) -> None:
    """A versioned bucket with an overwritten and a deleted object, and a ledger under object lock."""
    s3 = session.client("s3")
    data, ledger = names.bucket("data"), names.bucket("ledger")
    s3.create_bucket(Bucket=data)
    s3.put_bucket_versioning(Bucket=data, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=data, Key="kept", Body=body)
    s3.put_object(Bucket=data, Key="deleted", Body=b"x")
    s3.delete_object(Bucket=data, Key="deleted")
    s3.create_bucket(Bucket=ledger, ObjectLockEnabledForBucket=True)
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=ledger, ObjectLockConfiguration=lock)
    s3.put_object(Bucket=ledger, Key="releases/00000001", Body=b"{}")
    group = names.model_package_group
    sagemaker = session.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=group, ModelPackageGroupDescription="models")
    sagemaker.create_model_package(ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval")


def test_holdings_are_counted_and_removed_with_all_versions(session: boto3.Session, names: Names) -> None:
    assert holdings.count(session, names) == []
    fill(session, names)
    assert [(holding.name, holding.count) for holding in holdings.count(session, names)] == [
        (names.bucket("data"), 4),
        (names.bucket("ledger"), 1),
        (names.model_package_group, 1),
    ]
    holdings.remove(session, names)
    assert holdings.count(session, names) == []
    holdings.remove(session, names)


def test_what_may_not_be_deleted_is_an_error_that_names_it(session: boto3.Session, names: Names) -> None:
    fill(session, names)
    s3, ledger = session.client("s3"), names.bucket("ledger")
    until = datetime.now(UTC) + timedelta(days=1)
    s3.put_object(Bucket=ledger, Key="releases/00000002", Body=b"{}", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    with pytest.raises(LockstepError, match="can't be deleted") as caught:
        holdings.remove(session, names)
    assert caught.value.where == f"s3://{ledger}/releases/00000002"


def test_what_is_not_disposable_is_refused_and_keeps_everything(
    lockstep: Callable[..., Ran], project: Path, session: boto3.Session, names: Names
) -> None:
    change_stack(project, "dev", "disposable: true", "disposable: false")
    fill(session, names)
    before = holdings.count(session, names)
    ran = lockstep("teardown", "dev", "--yes")
    assert ran.code == 1
    assert "dev is not disposable" in ran.err
    assert f"bucket {names.bucket('data')}: 4 object versions" in ran.err
    assert "lockstep:environment.disposable" in ran.err
    assert holdings.count(session, names) == before


@pytest.mark.parametrize("written", ["before", "from now on"])
def test_a_ledger_in_compliance_mode_refuses_before_anything_is_deleted(
    lockstep: Callable[..., Ran], session: boto3.Session, names: Names, written: str
) -> None:
    """The stack file says GOVERNANCE; what is deployed, or was when evidence was written, says otherwise."""
    fill(session, names)
    s3, ledger = session.client("s3"), names.bucket("ledger")
    if written == "before":
        until = datetime.now(UTC) + timedelta(days=1)
        s3.put_object(Bucket=ledger, Key="releases/00000002", Body=b"{}", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
        expected = f"s3://{ledger}/releases/00000002: evidence is kept in compliance mode until {until:%Y-%m-%d}"
    else:
        lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
        s3.put_object_lock_configuration(Bucket=ledger, ObjectLockConfiguration=lock)
        expected = f"s3://{ledger}: the ledger is in compliance mode"
    before = holdings.count(session, names)
    ran = lockstep("teardown", "dev", "--yes")
    assert ran.code == 1
    assert expected in ran.err
    assert "Nothing was changed." in ran.err
    assert holdings.count(session, names) == before


def test_an_environment_that_is_not_deployed_has_no_releases(cloud: RunningCloud, session: boto3.Session) -> None:
    said: list[str] = []
    assert steps.remove_releases(session, "dev", said.append) == []
    assert said == ["Nothing is deployed that could have releases."]


def test_an_endpoint_that_somebody_changes_is_left_alone(
    cloud: RunningCloud, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deployed:
        class endpoint:
            name = "lockstep-dev-mortgage"
            arn = "arn:aws:sagemaker:us-east-1:111111111111:endpoint/lockstep-dev-mortgage"

    monkeypatch.setattr("lockstep.context.outputs", lambda environment: Deployed)
    monkeypatch.setattr(steps, "_endpoint_status", lambda session, name: "Updating")
    with pytest.raises(ConflictError, match="Updating"):
        steps.remove_releases(session, "dev", print)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_is_removed_where_nobody_can_be_asked(
    lockstep: Callable[..., Ran], session: boto3.Session, names: Names, arguments: list[str]
) -> None:
    fill(session, names)
    before = holdings.count(session, names)
    ran = lockstep("teardown", "dev", *arguments)
    assert ran.code == 2
    assert "nobody is there to be asked" in (ran.json["error"]["message"] if arguments else ran.err)
    assert arguments or "dev (account 111111111111 of the embedded cloud) will be removed, and with it:" in ran.out
    assert holdings.count(session, names) == before
