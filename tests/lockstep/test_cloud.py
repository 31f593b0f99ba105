"""`lockstep cloud`: a real embedded cloud, started and stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.cloud import accounts
from local.errors import CloudNotRunning
from lockstep import aws, cloud_process
from lockstep.cloud_process import RunningCloud
from tests.lockstep.conftest import ROOT, Ran, change_stack


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stopped(project: Path) -> Iterator[Path]:
    """The home of the project's cloud, which does not run afterwards."""
    home = Path(os.environ["LOCKSTEP_HOME"])
    yield home
    cloud_process.stop(home / "cloud")


def test_up_is_idempotent_down_leaves_nothing(lockstep: Callable[..., Ran], stopped: Path, port: int) -> None:
    assert lockstep("cloud", "status").code == 1
    first = lockstep("cloud", "up", "--port", str(port), "--speed", "20", "--clock-offset", "86400", "--json")
    assert (first.code, first.json["started_now"], first.json["url"]) == (0, True, f"http://127.0.0.1:{port}")
    assert (first.json["clock"]["speed"], first.json["clock"]["offset"] >= 86000) == (20.0, True)

    again = lockstep("cloud", "up", "--speed", "5", "--json")
    assert (again.code, again.json["started_now"], again.json["pid"], again.json["clock"]["speed"]) == (0, False, first.json["pid"], 5.0)
    elsewhere = lockstep("cloud", "up", "--port", str(port + 1))
    assert elsewhere.code == 2
    assert f"runs already, on port {port}" in elsewhere.err

    status = lockstep("cloud", "status", "--json")
    assert (status.code, status.json["pid"]) == (0, first.json["pid"])
    assert lockstep("cloud", "down", "--json").json == {"running": False, "stopped": first.json["pid"], "forgotten": []}
    assert not _alive(first.json["pid"])
    assert (stopped / "cloud" / "cloud.log").is_file()
    assert lockstep("cloud", "down", "--forget", "--json").json == {"running": False, "stopped": None, "forgotten": ["cloud"]}
    assert not stopped.exists()
    assert lockstep("cloud", "status").code == 1


def test_a_home_that_holds_other_things_keeps_them(lockstep: Callable[..., Ran], stopped: Path) -> None:
    """LOCKSTEP_HOME may be any folder, with folders in it that are called like ours."""
    theirs = ["notes.txt", "cloud/photos/a.jpg", "aws/config", "state/of-the-union.txt"]
    ours = ["state/.pulumi/stacks/lockstep/dev.json", "pulumi/passphrase", "pulumi/plugins/one"]
    for name in theirs + ours:
        (stopped / name).parent.mkdir(parents=True, exist_ok=True)
        (stopped / name).touch()
    ran = lockstep("cloud", "down", "--forget", "--json")
    assert (ran.code, ran.json["forgotten"]) == (0, ["pulumi"])
    assert sorted(str(path.relative_to(stopped)) for path in stopped.rglob("*") if path.is_file()) == sorted(theirs)


def test_make_clean_leaves_forgetting_to_the_command_line(stopped: Path) -> None:
    stopped.mkdir()
    (stopped / "thesis.tex").touch()
    done = subprocess.run(["make", "--silent", "clean"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (stopped / "thesis.tex").is_file()


def test_a_port_in_use_is_named_and_nothing_is_left(lockstep: Callable[..., Ran], stopped: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        ran = lockstep("cloud", "up", "--port", str(taken))
    assert (ran.code, ran.out) == (1, "")
    assert f"port {taken} is taken by another process" in ran.err
    assert "--port" in ran.err
    assert lockstep("cloud", "status").code == 1


def test_a_cloud_of_ones_own_that_hangs_is_named_as_such_and_can_be_stopped(lockstep: Callable[..., Ran], stopped: Path, port: int) -> None:
    home = stopped / "cloud"
    home.mkdir(parents=True)
    asleep = "import threading; threading.Event().wait(60)"
    with subprocess.Popen([sys.executable, "-c", asleep, "local.cloud.server", str(home)]) as hung:
        state = {"pid": hung.pid, "port": port, "url": f"http://127.0.0.1:{port}", "started": ""}
        (home / "state.json").write_text(json.dumps(state))
        ran = lockstep("cloud", "up", "--port", str(port), "--json")
        assert ran.code == 1
        assert ran.json["error"]["message"] == f"the embedded cloud is there (process {hung.pid}) and does not answer"
        assert "lockstep cloud down" in ran.json["error"]["remedy"]
        with pytest.raises(CloudNotRunning, match="does not answer any more"):
            RunningCloud(**state).clock()
        assert lockstep("cloud", "down", "--json").json["stopped"] == hung.pid
        assert not _alive(hung.pid)


def test_a_state_file_that_a_killed_cloud_left_misleads_nobody(lockstep: Callable[..., Ran], stopped: Path, port: int) -> None:
    """Its process id may belong to another process by now: that one must not be stopped."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (stopped / "cloud").mkdir(parents=True)
        state = {"pid": bystander.pid, "port": port, "url": f"http://127.0.0.1:{port}", "started": "2026-01-01T00:00:00+00:00"}
        (stopped / "cloud" / "state.json").write_text(json.dumps(state))
        assert lockstep("cloud", "status").code == 1
        assert lockstep("cloud", "down", "--json").json["stopped"] is None
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_without_a_cloud_env_says_how_to_start_one(lockstep: Callable[..., Ran]) -> None:
    ran = lockstep("cloud", "env", "dev")
    assert (ran.code, ran.out) == (1, "")
    assert "not running" in ran.err
    assert "lockstep cloud up" in ran.err


def test_env_makes_a_shell_that_is_in_the_environments_account(
    lockstep: Callable[..., Ran], project: Path, stopped: Path, port: int
) -> None:
    pytest.importorskip("local.provider.plugin")
    if not _has_engine():
        pytest.skip("no Pulumi engine on this machine; `make setup` gets one")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    assert lockstep("cloud", "up", "--port", str(port)).code == 0
    (project / "stacks" / "Pulumi.qa.yaml").write_text((project / "stacks" / "Pulumi.dev.yaml").read_text())
    change_stack(project, "qa", "111111111111", "444444444444")
    before[project / "stacks" / "Pulumi.qa.yaml"] = (project / "stacks" / "Pulumi.qa.yaml").read_bytes()

    script = lockstep("cloud", "env", "qa")
    assert script.code == 0
    asked = "import boto3, os; print(boto3.client('sts').get_caller_identity()['Account'], os.environ.get('AWS_PROFILE'))"
    shell = f"""set -eu; export AWS_PROFILE=other; {script.out}
python -c "{asked}"; pulumi stack ls --json; pulumi stack select --stack qa; pulumi config --stack qa"""
    done = subprocess.run(["sh", "-c", shell], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    account, _, listed = done.stdout.partition("\n")
    assert account == "444444444444 None"
    assert sorted(entry["name"] for entry in json.loads(listed[: listed.index("]") + 1])) == ["dev", "prod", "qa", "staging"]
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before, "a tracked file was touched"
    again = lockstep("cloud", "env", "qa", "--json").json["set"]
    assert "AWS_SESSION_TOKEN" in again


def test_the_clouds_first_keys_are_known_here() -> None:
    assert aws.LOCAL_ACCESS_KEY == accounts.BOOTSTRAP_ACCESS_KEY
    assert aws.LOCAL_SECRET_KEY == accounts.BOOTSTRAP_SECRET_KEY
    assert aws.ADMINISTRATOR == accounts.ORGANIZATION_ROLE


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _has_engine() -> bool:
    from local.engine import locate

    return locate.find() is not None
