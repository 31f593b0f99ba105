"""The command line as such: its table, its help, its errors and exit codes."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import infra.errors
from infra.errors import LockstepError
from local.errors import LocalError
from lockstep import command_docs, main
from pipelines.contract import load_contract
from tests.lockstep.conftest import ROOT, Ran

TREE = [error for _, error in inspect.getmembers(infra.errors, inspect.isclass) if issubclass(error, LockstepError)]
CODES = {"GateRefused": 3, "RolledBack": 4, "OutcomeUnknown": 5, "UsageError": 2, "ConfigError": 2}


def all_commands() -> list[tuple[str, Any]]:
    return [leaf for name in main.COMMANDS for leaf in command_docs.leaves(main.load(name), f"lockstep {name}")]


def test_help_imports_no_command_and_no_sdk() -> None:
    program = (
        "import sys\nfrom lockstep.main import run\nrun(['--help'])\n"
        "heavy = ('boto3', 'botocore', 'pulumi', 'sagemaker', 'pandas', 'moto', 'pydantic')\n"
        "print([name for name in sys.modules if name in heavy or name.startswith('lockstep.commands.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for name in main.COMMANDS:
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    command = main.load(name)
    own = (command.help or "").strip().splitlines()[0] if command.help else ""
    assert own.startswith(main.COMMANDS[name][1].rstrip("."))


@pytest.mark.parametrize(("path", "command"), all_commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_has_help_with_an_example_of_itself(path: str, command: Any) -> None:
    text = command_docs.help_text(command, path)
    assert re.search(rf"^  Example: .*{re.escape(path)}\b", text, re.MULTILINE), text
    assert [p.name for p in command.params if not getattr(p, "help", None)] == []
    assert "completion" not in text, "which the executable refuses"


def test_the_page_of_commands_is_current() -> None:
    assert (ROOT / command_docs.PAGE).read_text() == command_docs.render(), "run `make compile`, and commit the result"


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_each_error_has_its_exit_code_and_is_told_to_people(
    error: type[LockstepError], lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error("the sky fell", where="stacks/x.yaml, a.b", remedy="Hold it up.")

    monkeypatch.setattr("lockstep.context.running_cloud", fail)
    monkeypatch.setattr("lockstep.commands.cloud.running_cloud", fail)
    ran = lockstep("cloud", "status")
    assert ran == Ran(CODES.get(error.__name__, 1), "", "error: stacks/x.yaml, a.b: the sky fell\n  Hold it up.\n")
    told = lockstep("cloud", "status", "--json")
    assert told.code == ran.code
    expected = {
        "kind": error.__name__,
        "message": "the sky fell",
        "where": "stacks/x.yaml, a.b",
        "remedy": "Hold it up.",
        "exit_code": ran.code,
    }
    assert told.json == {"error": expected}


def test_an_error_of_the_rehearsal_is_told_and_a_bug_is_not_hidden(lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise LocalError("no", where="here")

    monkeypatch.setattr("lockstep.commands.cloud.running_cloud", refuse)
    assert lockstep("cloud", "status") == Ran(1, "", "error: here: no\n")
    monkeypatch.setattr("lockstep.commands.cloud.running_cloud", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lockstep("cloud", "status")


@pytest.mark.parametrize("arguments", [["nonsense"], ["cloud", "up", "--nonsense"], ["env"], ["cloud", "up", "--port", "many"]])
def test_a_wrong_command_line_is_2_and_says_what_is_wrong(arguments: list[str], lockstep: Callable[..., Ran]) -> None:
    ran = lockstep(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("Usage: lockstep")
    assert "Error: " in ran.err
    assert "\x1b" not in ran.err
    told = lockstep(*arguments, "--json")
    assert (told.code, told.err) == (2, "")
    error = told.json["error"]
    assert (error["kind"], error["exit_code"]) == ("UsageError", 2)
    assert error["message"] in ran.err
    assert error["where"].startswith("lockstep")


def test_an_interruption_is_told(lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lockstep.commands.cloud.running_cloud", interrupt)
    assert lockstep("cloud", "status") == Ran(130, "", "error: interrupted\n  What it had started in the cloud goes on.\n")
    assert lockstep("cloud", "status", "--json").json["error"]["kind"] == "Interrupted"


def test_a_place_that_can_not_be_used_is_told(lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOCKSTEP_HOME", str(tmp_path / "file" / "home"))
    ran = lockstep("cloud", "up")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {tmp_path / 'file' / 'home'}")
    assert "Not a directory" in ran.err


@pytest.mark.parametrize("command", [["cloud", "env"], ["env"], ["bootstrap"], ["teardown"]])
def test_an_environment_that_does_not_exist_is_named_with_its_neighbours(
    command: list[str], lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.shell.require_cloud", lambda: None)
    ran = lockstep(*command, "stagin")
    assert (ran.code, ran.out) == (2, "")
    assert "stacks/Pulumi.stagin.yaml: there is no environment 'stagin'" in ran.err
    assert "Did you mean 'staging'?" in ran.err


def test_the_example_of_invoke_is_a_request_that_the_shipped_workload_answers() -> None:
    text = command_docs.help_text(main.load("invoke"), "lockstep invoke")
    body = re.search(r"--data '(.*?)'", text, re.DOTALL)
    assert body
    contract = load_contract(ROOT / "workloads" / "mortgage" / "contract.yaml")
    assert contract.parse(json.loads(body.group(1))["instances"], inputs_only=True)
