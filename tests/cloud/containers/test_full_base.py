"""An image on a full base, from its build to a job: pushed to the embedded cloud's ECR, run by it without its base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.errors import PreflightError
from lockstep.images import base, credentials
from lockstep.images.blobs import Blobs
from lockstep.images.push import push
from lockstep.images.reference import Reference
from lockstep.images.sources import workload_image
from tests.images.registry import GLIBC, PYTHON, layer, serving
from tests.images.wheels import lock, wheel

ROOT = Path(__file__).parents[3]
REPOSITORY = "workload"
# What the base brings would break any program of this machine that met it.
BROKEN = layer({**GLIBC, **PYTHON, "opt/program/plain.py": b"raise SystemExit('the base ran')\n"})
BASE_ENV = ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.12.7", "PYTHONHOME=/nowhere", "LD_PRELOAD=/nowhere.so"]
PROBE = """
import json, os
import plain
from pipelines import gates
names = ("PYTHONHOME", "LD_PRELOAD", "LOCKSTEP_WORKLOAD")
print(json.dumps({"plain": plain.__file__, "gates": gates.__file__, "seen": {name: os.environ.get(name) for name in names}}))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with a lock of one wheel, which both the build and the embedded cloud install."""
    root, shelf = tmp_path / "project", tmp_path / "shelf"
    for part in ("infra", "pipelines", "workloads"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shelf.mkdir()
    (root / "workloads/mortgage/requirements.lock").write_bytes(lock(wheel(shelf, "plain", "py3-none-any", {"plain.py": ""})))
    for module, text in (("pipelines/gates", ""), ("workloads/mortgage/__init__", ""), ("workloads/mortgage/probe", PROBE)):
        (root / f"{module}.py").write_text(text)
    monkeypatch.setenv("UV_FIND_LINKS", str(shelf))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return root


def test_for_an_ecr_repository_a_token_is_asked_with_the_standard_credentials(
    lab: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = lab.session.get_credentials()
    for name, value in (("ACCESS_KEY_ID", keys.access_key), ("SECRET_ACCESS_KEY", keys.secret_key), ("ENDPOINT_URL", lab.cloud.url)):
        monkeypatch.setenv(f"AWS_{name}", value)
    reference = Reference.parse(f"111111111111.dkr.ecr.us-east-1.amazonaws.com/base@sha256:{'0' * 64}")
    found = credentials.find(reference)
    assert found is not None
    assert found[0] == "AWS"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(PreflightError, match="ECR gives no token"):
        credentials.find(reference)


def test_an_image_on_a_full_base_is_built_pushed_and_run_by_digest(lab: Any, project: Path, tmp_path: Path) -> None:
    ecr = lab.session.client("ecr")
    ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    with serving() as registry:
        name = f"{registry.name}@{registry.image([BROKEN], config={'Env': BASE_ENV}, history=[])}"
        image = workload_image(project, "mortgage", base=base.resolve(name, blobs=Blobs(tmp_path / "one")))
        lines: list[str] = []
        assert push(ecr, REPOSITORY, image, lines.append) == image.digest
        again = workload_image(project, "mortgage", base=base.resolve(name, blobs=Blobs(tmp_path / "two")))
        assert push(ecr, REPOSITORY, again, lines.append) == image.digest
    assert lines[0] == f"base {name}"
    assert [line.split("  ")[-1] for line in lines[1:]] == ["reading"] + ["pushed"] * 6 + ["already there"] * 6
    held = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageDigest": image.digest}])["images"][0]
    assert held["imageManifest"] == image.manifest.decode()

    uri = f"{ecr.describe_repositories(repositoryNames=[REPOSITORY])['repositories'][0]['repositoryUri']}@{image.digest}"
    entry = {"ImageUri": uri, "ContainerEntrypoint": ["python", "-m", "workloads.mortgage.probe"]}
    described = lab.run_processing(lab.processing("full-base", uri, AppSpecification=entry))
    assert described["ProcessingJobStatus"] == "Completed", described.get("FailureReason")
    said = json.loads(lab.log_lines("Processing", "full-base")[0])
    assert "/venvs/" in said["plain"], "its packages are those of its own lock, made for this machine"
    assert said["gates"].endswith("/opt/program/pipelines/gates.py")
    assert said["seen"] == {"PYTHONHOME": None, "LD_PRELOAD": None, "LOCKSTEP_WORKLOAD": "mortgage"}
