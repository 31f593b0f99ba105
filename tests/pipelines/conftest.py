"""What tests of jobs share: the real data, a trained model, and a private folder that stands for /opt/ml."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.outputs import EnvironmentOutputs
from lockstep import datasets
from lockstep.datasets import DataFile
from pipelines.jobs import evaluate, prepare
from pipelines.jobs.place import base, input_folder
from pipelines.serving.handler import Handler, load_handler
from tests.promotion.environment import make_outputs

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockstep-dev-workload@sha256:" + "a" * 64


def environment() -> EnvironmentOutputs:
    return make_outputs().model_copy(update={"workload": "mortgage"})


@pytest.fixture(scope="session")
def exported() -> tuple[DataFile, DataFile]:
    """Training data and golden set."""
    return datasets.export("mortgage")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`job(name, inputs)`: a fresh /opt/ml with inputs `{"data/data.csv": bytes}`; returns its folder."""
    monkeypatch.setenv("LOCKSTEP_WORKLOAD", "mortgage")

    def make(name: str, inputs: dict[str, bytes]) -> Path:
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / name))
        for path, content in inputs.items():
            target = input_folder(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return base()

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, exported: tuple[DataFile, DataFile]) -> Path:
    """Folder with model.tar.gz, model/ and evaluation/, made by the jobs themselves, once."""
    folder = tmp_path_factory.mktemp("trained")
    data, golden = exported
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCKSTEP_WORKLOAD", "mortgage")
        patch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        _put(input_folder("data") / "data.csv", data.content)
        _put(input_folder("golden") / "golden.csv", golden.content)
        prepare.main(["--data-version", data.sha256, "--golden-sha256", golden.sha256])
        for channel in ("train", "test"):
            _put(folder / "input/data" / channel / f"{channel}.csv", (folder / f"processing/output/{channel}/{channel}.csv").read_bytes())
        _put(folder / "input/config/hyperparameters.json", json.dumps({"hyperparameters": "{}"}).encode())
        # In a process of its own, as the job does: the pulumi package brings dill, which changes how this process pickles a model.
        subprocess.run([sys.executable, "-c", "from pipelines.jobs.train import main; main()"], cwd=ROOT, check=True)
        archive = input_folder("model") / "model.tar.gz"
        archive.parent.mkdir(parents=True)
        with tarfile.open(archive, "w:gz") as opened:
            opened.add(folder / "model", arcname=".")
        evaluate.main(["--subject", "candidate", "--image", IMAGE])
    return folder


@pytest.fixture(scope="session")
def handler(trained: Path) -> Handler:
    """The serving handler of the trained model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCKSTEP_WORKLOAD", "mortgage")
        return load_handler(trained / "model")


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
