"""A rehearsal of its own: a copy of the project, an embedded cloud on a free port, and the commands that a person types."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Pulumi.yaml", "__main__.py")
FOLDERS = ("infra", "pipelines", "workloads", "demo", "stacks")
REGION = "us-east-1"
COMMAND_SECONDS = 420


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit code and all that it printed."""

    code: int
    output: str

    def ok(self) -> Done:
        assert self.code == 0, self.output[-4000:]
        return self


@dataclass
class Rehearsal:
    """One project folder and its embedded cloud, whose clock is `offset` seconds ahead of this machine's."""

    folder: Path
    speed: float
    offset: float
    _variables: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def start(cls, folder: Path, *, speed: float, offset: float) -> Rehearsal:
        folder.mkdir(parents=True)
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        made = cls(folder, speed, offset)
        made.lockstep("cloud", "up", "--port", str(_free_port()), "--speed", str(speed), "--clock-offset", str(offset)).ok()
        return made

    def stop(self) -> None:
        self.lockstep("cloud", "down").ok()

    def lockstep(self, *arguments: str, person: str = "requester") -> Done:
        return self._run([sys.executable, "-m", "lockstep.main", *arguments], {"LOCKSTEP_PERSON": person})

    def json(self, *arguments: str) -> Any:
        return json.loads(self.lockstep(*arguments, "--json").ok().output)

    def pulumi(self, environment: str, *arguments: str) -> Done:
        """Plain pulumi, in the variables that `lockstep cloud env` gives."""
        return self._run(["pulumi", *arguments, "-s", environment, "--non-interactive", "--color", "never"], self.variables(environment))

    def up(self, *environments: str, refresh: bool = False) -> None:
        options = ["--refresh"] if refresh else []
        for name in environments:
            self.variables(name)
        with ThreadPoolExecutor(len(environments)) as pool:
            for done in pool.map(lambda name: self.pulumi(name, "up", "--yes", "--skip-preview", *options), environments):
                done.ok()

    def variables(self, environment: str) -> dict[str, str]:
        if environment not in self._variables:
            self._variables[environment] = self.json("cloud", "env", environment)["set"]
        return self._variables[environment]

    def session(self, environment: str) -> boto3.Session:
        """A session of the environment's account; its clients speak to this cloud."""
        given = self.variables(environment)
        return _Session(
            given["AWS_ENDPOINT_URL"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
            region_name=REGION,
        )

    def outputs(self, environment: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.pulumi(environment, "stack", "output", "environment", "--json").ok().output)
        return found

    def edit(self, environment: str, change: Mapping[tuple[str, ...], Any], *, source: str | None = None) -> None:
        """Writes values into a stack file by key path; `source` names the file to start from."""
        path = self.folder / "stacks" / f"Pulumi.{environment}.yaml"
        document = yaml.safe_load((self.folder / "stacks" / f"Pulumi.{source or environment}.yaml").read_text())
        for keys, value in change.items():
            node = document["config"]["lockstep:environment"]
            for key in keys[:-1]:
                node = node[key]
            assert keys[-1] in node, keys
            node[keys[-1]] = value
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def _run(self, command: list[str], variables: Mapping[str, str]) -> Done:
        environment = {**os.environ, "LOCKSTEP_HOME": str(self.folder / ".lockstep"), **variables}
        executable = shutil.which(command[0], path=environment["PATH"])
        assert executable is not None, command[0]
        done = subprocess.run(
            [executable, *command[1:]],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout)


class _Session(boto3.Session):
    def __init__(self, endpoint: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._endpoint = endpoint

    def client(self, *arguments: Any, **keywords: Any) -> Any:
        return super().client(*arguments, endpoint_url=self._endpoint, **keywords)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
