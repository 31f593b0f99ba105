"""The executable that the engine starts, its archive, and a program run by the real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.engine import language_plugin, locate
from local.provider.host import Host
from local.provider.plugin import build_plugin_archive, install
from local.provider.resources import TABLE
from local.provider.schema import FILE, build
from tests.provider.conftest import ACCOUNT, REGION
from tests.provider.door import Door

PROGRAM = """
import json, os
import pulumi
from pulumi_aws import Provider
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.ec2.subnet import Subnet
from pulumi_aws.iam.role import Role
from pulumi_aws.kms.key import Key
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_objectv2 import BucketObjectv2

config = pulumi.Config()
provider = Provider("aws", region="us-east-1", allowed_account_ids=["111111111111"], default_tags={"tags": {"owner": "team"}})
opts = pulumi.ResourceOptions(provider=provider)
key = Key("key", description="data", enable_key_rotation=True, deletion_window_in_days=7, opts=opts)
bucket = Bucket("bucket", force_destroy=True, opts=opts)
vpc = Vpc("vpc", cidr_block="10.10.0.0/16", tags={"Name": "vpc"}, opts=opts)
Subnet("subnet", vpc_id=vpc.id, cidr_block="10.10.1.0/24", opts=opts)
statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
trust = {"Version": "2012-10-17", "Statement": [statement]}
Role("role", assume_role_policy=json.dumps(trust), opts=opts)
BucketObjectv2("secret", bucket=bucket.bucket, key="secret", content=pulumi.Output.secret("the-secret-text"), opts=opts)
BucketObjectv2("file", bucket=bucket.bucket, key="file", source=pulumi.FileAsset("./data.txt"), opts=opts)
if os.environ.get("MISSPELT"):
    Bucket("other", bucket="No Such Name!", opts=opts)
pulumi.export("key", key.arn)
pulumi.export("tags", vpc.tags_all)
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A provider host, and the state file of a cloud that names it."""
    made = Host(tmp_path / "p.sock")
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    state = tmp_path / "cloud" / "state.json"
    state.parent.mkdir()
    state.write_text(json.dumps({"provider_socket": str(made.path)}))
    yield state
    made.close()
    thread.join(5)


def unpack(tmp_path: Path, state: Path, python: Path | None = None) -> Path:
    with tarfile.open(build_plugin_archive(tmp_path / "plugin.tar.gz", state=state, python=python)) as archive:
        archive.extractall(tmp_path / "plugin", filter="data")
    return tmp_path / "plugin" / "pulumi-resource-aws"


def test_the_schema_is_that_of_the_sdk() -> None:
    assert FILE.read_text() == build(TABLE), "run: python -m local.provider.schema"


def test_every_type_manages_what_its_schema_requires() -> None:
    from local.provider.schema import type_schema

    for token, kind in TABLE.items():
        schema = type_schema(token)
        assert schema.required <= kind.managed(), token
        assert kind.managed() - {"tagsAll", "region"} <= set(schema.inputs), token
        assert bool(kind.tags) == ("tags" in schema.inputs), token


def test_the_executable_is_a_provider_by_way_of_the_host(tmp_path: Path, host: Path, environment: dict[str, str]) -> None:
    executable = unpack(tmp_path, host)
    clean = {k: v for k, v in os.environ.items() if k != "LOCKSTEP_HOME"}
    process = subprocess.Popen([executable, "127.0.0.1:1"], env={**clean, **environment}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        door = Door(int(process.stdout.readline()))
        door.configure(region=REGION, allowedAccountIds=f'["{ACCOUNT}"]')
        held = door.up(door.held("aws:sns/topic:Topic"), {"name": "by-plugin"})
        door.gone(held)
        door.channel.close()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0


def test_the_executable_needs_no_host(tmp_path: Path, environment: dict[str, str]) -> None:
    # A checkout may lie anywhere, also where a `#!` line could not name its interpreter.
    python = tmp_path / 'the team\'s "disk"' / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    executable = unpack(tmp_path, tmp_path / "no-such-state.json", python)
    clean = {k: v for k, v in os.environ.items() if k != "LOCKSTEP_HOME"}
    process = subprocess.Popen([executable, "127.0.0.1:1"], env={**clean, **environment}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        door = Door(int(process.stdout.readline()))
        door.configure(region=REGION)
        assert door.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT
        door.channel.close()
    finally:
        process.terminate()
        assert process.wait(90) == 0


def test_the_archive_is_reproducible(tmp_path: Path) -> None:
    one, two = (build_plugin_archive(tmp_path / n / "a.tar.gz", state=tmp_path / "state.json") for n in ("one", "two"))
    with tarfile.open(one) as first, tarfile.open(two) as second:
        assert [(m.name, m.mode, m.mtime) for m in first] == [(m.name, m.mode, m.mtime) for m in second]
        assert first.extractfile("pulumi-resource-aws").read() == second.extractfile("pulumi-resource-aws").read()  # type: ignore[union-attr]


class Project:
    """A Pulumi project with a backend and plugins of its own."""

    def __init__(self, folder: Path, engine: locate.Engine, environment: dict[str, str], state: Path) -> None:
        self.folder = folder
        self.engine = engine
        home = folder / "home"
        install(home, engine.pulumi, state=state, python=Path(sys.executable))
        if not engine.has_language_host:
            language_plugin.install(home)
        self.program = folder / "program"
        self.program.mkdir()
        (self.program / "Pulumi.yaml").write_text("name: project\nruntime: python\n")
        (self.program / "__main__.py").write_text(PROGRAM)
        (self.program / "data.txt").write_text("from a file")
        (folder / "backend").mkdir()
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "LOCKSTEP_", "AWS_"))}
        self.environment = {
            **clean,
            **environment,
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.run("stack", "init", "dev")

    def run(self, *arguments: str, code: int = 0, **variables: str) -> str:
        command = [str(self.engine.pulumi), *arguments, "--non-interactive", "--color", "never"]
        done = subprocess.run(command, cwd=self.program, env={**self.environment, **variables}, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        assert "warning" not in done.stdout + done.stderr
        return done.stdout

    def state(self) -> str:
        return (self.folder / "backend" / ".pulumi" / "stacks" / "project" / "dev.json").read_text()


def test_a_program_from_up_to_destroy(tmp_path: Path, host: Path, environment: dict[str, str], session: Any) -> None:
    engine = locate.find()
    if engine is None:
        pytest.skip("no Pulumi engine is on this machine: `make setup` builds one")
    project = Project(tmp_path, engine, environment, host)
    refused = project.run("preview", "-s", "dev", code=1, MISSPELT="1")
    assert "has a problem: expected 3 to 63 lower case letters" in refused
    assert "+ 9 created" in project.run("up", "-y", "-s", "dev", "--skip-preview")
    assert '"owner":"team"' in project.run("stack", "output", "-s", "dev", "--json").replace(" ", "")
    assert "the-secret-text" not in project.state()
    project.run("preview", "-s", "dev", "--refresh", "--expect-no-changes")
    s3 = session.client("s3")
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"].startswith("bucket-"))
    assert s3.get_object(Bucket=bucket, Key="file")["Body"].read() == b"from a file"
    s3.delete_object(Bucket=bucket, Key="file")
    key = next(k["KeyId"] for k in session.client("kms").list_keys()["Keys"])
    session.client("kms").disable_key_rotation(KeyId=key)
    drifted = project.run("preview", "-s", "dev", "--refresh", "--diff")
    assert "enableKeyRotation" in drifted
    assert "1 to create" in drifted
    assert "1 to update" in drifted
    assert "+ 1 created" in project.run("up", "-y", "-s", "dev", "--refresh", "--skip-preview")
    project.run("preview", "-s", "dev", "--expect-no-changes")
    assert "the-secret-text" not in project.state(), "a refresh must not uncover it"
    project.run("destroy", "-y", "-s", "dev", "--skip-preview")
    assert not [b for b in s3.list_buckets()["Buckets"] if b["Name"].startswith("bucket-")]
    assert session.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_the_executable_starts_at_once(tmp_path: Path, host: Path, environment: dict[str, str]) -> None:
    """A plugin that loaded botocore and gRPC by itself would need ten times as long."""
    executable = unpack(tmp_path, host)
    clean = {k: v for k, v in os.environ.items() if k != "LOCKSTEP_HOME"}
    best = 10.0
    for _ in range(5):
        begun = time.monotonic()
        process = subprocess.Popen([executable, "127.0.0.1:1"], env={**clean, **environment}, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert int(process.stdout.readline())
        best = min(best, time.monotonic() - begun)
        process.terminate()
        process.wait(90)
    assert best < 0.5
