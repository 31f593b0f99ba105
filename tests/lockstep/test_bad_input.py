"""What a person gets wrong at the command line: each time a message that says what, where and what to do, and nothing is changed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lockstep import cloud_process
from lockstep.commands import image
from lockstep.images.image import Image
from tests.lockstep.conftest import Ran, change_stack
from tests.promotion.environment import make_outputs

COMMANDS = [
    ["models", "dev"],
    ["status", "dev"],
    ["status"],
    ["invoke", "dev", "--data", "1"],
    ["image", "push", "dev"],
    ["data", "push", "dev"],
    ["pipeline", "run", "dev", "training"],
    ["promote", "--from", "dev", "--to", "staging"],
    ["approve", "dev"],
    ["redeploy", "dev"],
    ["restore", "dev"],
    ["rollback", "dev"],
    ["teardown", "dev"],
]


def shown(arguments: list[str]) -> str:
    return " ".join(arguments)


@pytest.fixture
def no_cloud(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a rehearsal whose cloud does not run, which is nevertheless what commands speak to."""
    monkeypatch.setenv("LOCKSTEP_TARGET", "local")
    return Path(os.environ["LOCKSTEP_HOME"])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def told(lockstep: Callable[..., Ran], arguments: list[str]) -> tuple[int, dict[str, Any]]:
    """Exit code and error of a command, which must be the same for people and machines."""
    for_machines, for_people = lockstep(*arguments, "--json"), lockstep(*arguments)
    error = for_machines.json["error"]
    assert for_machines.code == for_people.code == error["exit_code"]
    assert for_people.err == f"error: {error['where']}: {error['message']}\n  {error['remedy']}\n"
    assert for_people.out == ""
    return for_people.code, error


@pytest.mark.parametrize("arguments", COMMANDS, ids=shown)
@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("workload: mortgage", "wrokload: mortgage", "lockstep:environment", "unknown key; did you mean 'workload'?"),
        ("instanceCount: 2", "instanceCount: two", "lockstep:environment.serving.instanceCount", 'found "two", expected a whole number'),
        (
            "  region: us-east-1",
            "  region: us-nowhere-9",
            "lockstep:environment",
            "found us-nowhere-9, expected a region that AWS has",
        ),
    ],
    ids=["misspelt key", "wrong type", "no such region"],
)
def test_a_wrong_stack_file_is_named_by_every_command(
    lockstep: Callable[..., Ran], project: Path, no_cloud: Path, arguments: list[str], old: str, new: str, where: str, message: str
) -> None:
    change_stack(project, "dev", old, new)
    before = everything(project)
    code, error = told(lockstep, arguments)
    assert (code, error["kind"]) == (2, "ConfigError")
    assert error["where"] == f"stacks/Pulumi.dev.yaml, {where}"
    assert message in error["message"]
    assert "environment.schema.json" in error["remedy"]
    assert everything(project) == before
    assert not no_cloud.exists()


@pytest.mark.parametrize("arguments", [arguments for arguments in COMMANDS if "dev" in arguments], ids=shown)
def test_an_unknown_environment_is_named_by_every_command(lockstep: Callable[..., Ran], no_cloud: Path, arguments: list[str]) -> None:
    code, error = told(lockstep, ["deev" if word == "dev" else word for word in arguments])
    assert (code, error["where"], error["message"]) == (2, "stacks/Pulumi.deev.yaml", "there is no environment 'deev'")
    assert error["remedy"] == "Did you mean 'dev'? Known environments: dev, prod, staging."


@pytest.mark.parametrize("arguments", COMMANDS, ids=shown)
def test_without_its_cloud_every_command_says_how_to_start_it(
    lockstep: Callable[..., Ran], project: Path, no_cloud: Path, arguments: list[str]
) -> None:
    before = everything(project)
    code, error = told(lockstep, arguments)
    assert (code, error["kind"], error["remedy"]) == (1, "CloudNotRunning", "Start it with `lockstep cloud up`.")
    assert error["where"] == str(no_cloud / "cloud")
    assert everything(project) == before
    assert not no_cloud.exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "0", "0 is no port"),
        ("--port", "70000", "70000 is no port"),
        ("--speed", "0", "time can't run at speed 0"),
        ("--speed", "-3", "time can't run at speed -3"),
        ("--speed", "nan", "time can't run at speed nan"),
        ("--clock-offset", "inf", "inf is no number of seconds"),
    ],
)
def test_a_cloud_that_can_not_be_is_not_started(
    lockstep: Callable[..., Ran], no_cloud: Path, option: str, value: str, message: str
) -> None:
    code, error = told(lockstep, ["cloud", "up", option, value])
    assert (code, error["where"], error["message"]) == (2, option, message)
    assert not no_cloud.exists()


@pytest.fixture
def stopped(project: Path) -> Iterator[Path]:
    home = Path(os.environ["LOCKSTEP_HOME"])
    yield home
    cloud_process.stop(home / "cloud")


def test_a_port_in_use_changes_nothing_of_an_earlier_rehearsal(lockstep: Callable[..., Ran], stopped: Path) -> None:
    """Its state is dropped by a cloud that starts, and not by one that does not."""
    state = stopped / "state" / ".pulumi" / "stacks" / "lockstep" / "dev.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ran = lockstep("cloud", "up", "--port", str(holder.getsockname()[1]), "--json")
        taken = holder.getsockname()[1]
    assert (ran.code, ran.json["error"]["kind"], ran.json["error"]["where"]) == (1, "PortInUse", f"127.0.0.1:{taken}")
    assert "--port" in ran.json["error"]["remedy"]
    assert state.is_file()
    assert lockstep("cloud", "up", "--port", str(taken), "--json").code == 0
    assert not state.exists()


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The repositories that `image push` has pushed to: images on the host, to an environment without a cloud."""
    names: list[str] = []
    made = Image(manifest=b"{}", blobs=(), labels={})
    monkeypatch.setattr(image, "outputs", lambda environment: make_outputs("dev", "111111111111"))
    monkeypatch.setattr(image, "session", lambda environment: SimpleNamespace(client=lambda service: None))
    monkeypatch.setattr(image, "_images", lambda *_, **__: [("mortgage", made), ("toolkit", made)])
    monkeypatch.setattr("lockstep.images.push.push", lambda client, name, *_: names.append(name))
    return names


def test_toolkit_code_that_the_pipelines_do_not_name_is_refused_before_anything_is_pushed(
    lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, pushed: list[str]
) -> None:
    monkeypatch.setattr("lockstep.definitions.committed_toolkit_digest", lambda root: "sha256:" + "b" * 64)
    code, error = told(lockstep, ["image", "push", "dev"])
    assert (code, error["kind"]) == (2, "ConfigError")
    assert "lockstep pipeline compile" in error["remedy"]
    assert pushed == []


def test_an_image_on_the_host_is_not_pushed_to_where_it_may_not_run(
    lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, pushed: list[str]
) -> None:
    found = make_outputs("dev", "111111111111")
    strict = found.model_copy(update={"promotion": found.promotion.model_copy(update={"allow_host_base": False})})
    monkeypatch.setattr(image, "outputs", lambda environment: strict)
    code, error = told(lockstep, ["image", "push", "dev"])
    assert (code, error["kind"], error["where"]) == (2, "ConfigError", "images.yaml")
    assert "that of mortgage is" in error["message"]
    assert pushed == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--base", "python@sha256:1"], "does not name an image"),
        (["--base", "127.0.0.1:9/python:3.12"], "a tag can be moved"),
        (["--base-python", "3.12"], "--base-python belongs to a --base"),
    ],
)
def test_a_base_that_is_none_is_refused(lockstep: Callable[..., Ran], words: list[str], message: str) -> None:
    code, error = told(lockstep, ["image", "build", "mortgage", *words])
    assert (code, error["kind"]) == (2, "UsageError")
    assert message in error["message"]
