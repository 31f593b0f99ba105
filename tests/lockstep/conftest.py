"""A project of its own for each test: the real stack files in a folder that may be changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.cloud.server import running
from lockstep import aws, context
from lockstep.cloud_process import RunningCloud
from lockstep.main import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with the real stack files, and a home for its cloud; the current folder."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    shutil.copytree(ROOT / "stacks", folder / "stacks")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKSTEP_HOME", str(tmp_path / "home"))
    context.project_root.cache_clear()
    yield folder
    context.project_root.cache_clear()


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def lockstep(project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command line in this process, as the executable would."""

    def call(*arguments: str) -> Ran:
        capfd.readouterr()
        monkeypatch.setattr(context, "console", context._console(stderr=False))
        code = run(list(arguments))
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def account(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """The shell of somebody who is signed in to dev's account, at an endpoint that the standard variables name."""
    with running(home=tmp_path / "cloud") as cloud:
        at = RunningCloud(os.getpid(), int(cloud.url.rsplit(":", 1)[1]), cloud.url, "")
        for name, value in aws.local_credentials("111111111111", "us-east-1", at).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
        monkeypatch.setenv("LOCKSTEP_TARGET", "aws")
        yield boto3.Session(region_name="us-east-1")


def change_stack(project: Path, name: str, old: str, new: str) -> None:
    """Edits a stack file of the test's own project."""
    file = project / "stacks" / f"Pulumi.{name}.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
