"""Images as processes: pulling by digest, who may pull, what is refused, what a process leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from local.cloud.containers.images import ImageError, ImageReference
from local.cloud.containers.runtime import ContainerRuntime, runtime_of

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "us-east-1"


@pytest.fixture(scope="module")
def runtime(lab: Any) -> ContainerRuntime:
    return runtime_of(lab.cloud)


def prepare(lab: Any, runtime: ContainerRuntime, uri: str) -> Any:
    return runtime.prepare(uri, account=ACCOUNT, region=REGION, role_arn=lab.role)


def output(runtime: ContainerRuntime, prepared: Any, folder: Path, **options: Any) -> tuple[int | None, list[str]]:
    lines: list[str] = []
    process = runtime.spawn(prepared, environment=options.pop("environment", {}), base_dir=folder / "ml", log=lines.append, **options)
    return process.wait(90), lines


class TestImages:
    def test_a_tag_is_resolved_to_what_it_names_now(self, lab: Any, runtime: ContainerRuntime) -> None:
        first = lab.image({"v": "1"}, tag="moving")
        prepared = prepare(lab, runtime, first.split("@")[0] + ":moving")
        assert prepared.digest == first.split("@")[1]

    def test_an_image_that_is_not_there_is_named(self, lab: Any, runtime: ContainerRuntime) -> None:
        uri = lab.image({"v": "1"})
        missing = uri.split("@")[0] + "@sha256:" + "0" * 64
        with pytest.raises(ImageError, match="can't be pulled"):
            prepare(lab, runtime, missing)
        with pytest.raises(ImageError, match="no-such-repository"):
            prepare(lab, runtime, uri.replace("/tiny@", "/no-such-repository@"))

    def test_an_image_that_needs_a_container_engine_fails_the_job_that_wants_it(self, lab: Any) -> None:
        base = "docker.io/library/python@sha256:" + "1" * 64
        uri = lab.image({"v": "engine"}, base=base)
        described = lab.run_processing(lab.processing("needs-engine", uri, "print(1)"))
        assert described["FailureReason"].startswith("ClientError: ")
        assert f"is built on {base}" in described["FailureReason"]

    def test_a_lock_that_can_not_be_installed_fails_the_job_with_the_reason(self, lab: Any) -> None:
        uri = lab.image({"v": "lock"}, lock="no-such-package-of-lockstep==1.0\n")
        described = lab.run_processing(lab.processing("bad-lock", uri, "print(1)"))
        assert described["ProcessingJobStatus"] == "Failed"
        assert "requirements.lock can't be installed" in described["FailureReason"]

    def test_another_accounts_image_needs_its_repositorys_permission(self, lab: Any) -> None:
        owner = lab.cloud.session(OTHER, REGION)
        uri = lab.push(owner, "shared", {"v": "1"})
        refused = lab.run_processing(lab.processing("foreign-refused", uri, "print(1)"))
        assert refused["ProcessingJobStatus"] == "Failed"
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                    "Condition": {"ArnEquals": {"aws:PrincipalArn": lab.role}},
                }
            ],
        }
        owner.client("ecr").set_repository_policy(repositoryName="shared", policyText=json.dumps(policy))
        assert lab.run_processing(lab.processing("foreign-allowed", uri, "print(1)"))["ProcessingJobStatus"] == "Completed"
        owner.client("ecr").delete_repository_policy(repositoryName="shared")
        again = lab.run_processing(lab.processing("foreign-revoked", uri, "print(1)"))
        assert again["ProcessingJobStatus"] == "Failed", "an image that lies unpacked here must not outlive the permission to pull it"

    @pytest.mark.parametrize(
        "uri", ["python:3", "111111111111.dkr.ecr.us-east-1.amazonaws.com/UPPER", "111.dkr.ecr.us-east-1.amazonaws.com/x"]
    )
    def test_other_registries_are_refused(self, uri: str) -> None:
        with pytest.raises(ImageError, match="is not the name of an image in Amazon ECR"):
            ImageReference.parse(uri)


class TestProcesses:
    def test_entry_point_and_command_combine_as_in_docker(self, lab: Any, runtime: ContainerRuntime, tmp_path: Path) -> None:
        program = "#!/usr/bin/env python\nimport sys\nprint(sys.argv[1:])\n"
        plain = prepare(lab, runtime, lab.image({"bin/serve": program, "bin/tool": program}))
        assert output(runtime, plain, tmp_path, command=["serve", "x"]) == (0, ["['x']"])
        assert output(runtime, plain, tmp_path, entrypoint=["tool", "a"], command=["b"]) == (0, ["['a', 'b']"])
        own = prepare(lab, runtime, lab.image({"bin/tool": program}, entrypoint=["tool"]))
        assert output(runtime, own, tmp_path, command=["serve"]) == (0, ["['serve']"])
        with pytest.raises(ImageError, match="names no program"):
            runtime.spawn(plain, environment={}, base_dir=tmp_path, log=print)

    def test_temporary_files_are_private_and_go_with_the_process(self, lab: Any, runtime: ContainerRuntime, tmp_path: Path) -> None:
        program = "#!/usr/bin/env python\nimport tempfile, os\nprint(tempfile.mkstemp()[1]); print(os.path.expanduser('~'))\n"
        image = prepare(lab, runtime, lab.image({"bin/serve": program}))
        status, (first, home) = output(runtime, image, tmp_path, command=["serve"])
        _, (second, _) = output(runtime, image, tmp_path, command=["serve"])
        assert status == 0
        assert Path(first).parent != Path(second).parent
        assert not Path(first).exists()
        assert not Path(home).exists()

    def test_terminate_lets_a_process_end_well(self, lab: Any, runtime: ContainerRuntime, tmp_path: Path) -> None:
        program = (
            "#!/usr/bin/env python\nimport signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
            "print('up', flush=True)\nwhile True: time.sleep(60)\n"
        )
        image = prepare(lab, runtime, lab.image({"bin/serve": program}))
        up, exits = threading.Event(), []
        process = runtime.spawn(
            image, command=["serve"], environment={}, base_dir=tmp_path, log=lambda _: up.set(), on_exit=lambda p: exits.append(p.poll())
        )
        assert up.wait(90)
        assert process.poll() is None
        process.terminate()
        assert process.wait(90) == 7
        assert process.poll() == 7

    def test_no_process_outlives_a_cloud_that_is_killed(self, tmp_path: Path) -> None:
        code = (
            "import sys, threading, pathlib\n"
            "from local.cloud.server import running\n"
            "from local.cloud.containers.process import ContainerProcess\n"
            "with running(pathlib.Path(sys.argv[1])) as cloud:\n"
            "    sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
            "    p = ContainerProcess(cloud.processes, sleep, {}, pathlib.Path('/'), print)\n"
            "    print(p.pid, flush=True)\n"
            "    threading.Event().wait()\n"
        )
        root = Path(__file__).parents[3]
        cloud = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cloud")], cwd=root, stdout=subprocess.PIPE, text=True)
        assert cloud.stdout is not None
        child = int(cloud.stdout.readline())
        os.kill(cloud.pid, signal.SIGKILL)
        cloud.wait()
        cloud.stdout.close()
        deadline = time.monotonic() + 90
        while is_running(child) and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
