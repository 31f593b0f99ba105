"""AWS's scikit-learn container: script mode for serving and for training."""

from __future__ import annotations

import http.client
import io
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.cloud.containers.runtime import runtime_of

ACCOUNT, REGION = "111111111111", "us-east-1"
DIGEST = "sha256:82bed6e5a382c1132589c5d12f352df53498535c9ced1c4d00148699bf61caa1"
IMAGE = f"683313688378.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn@{DIGEST}"
OWN = """
def model_fn(model_dir):
    return open(model_dir + "/weights").read()
def input_fn(body, content_type):
    assert isinstance(body, str)
    return body.split(","), content_type
def predict_fn(data, model):
    if data[0] == ["break"]:
        raise ValueError("no such category")
    return [model, *data[0], data[1]]
def output_fn(prediction, accept):
    return "|".join(prediction), accept
"""
DEFAULTS = """
class Model:
    def predict(self, data):
        return data.sum(axis=1)
def model_fn(model_dir):
    return Model()
"""


@contextmanager
def serving(lab: Any, folder: Path, code: str) -> Iterator[Callable[..., tuple[int, str, str]]]:
    (folder / "model" / "code").mkdir(parents=True)
    (folder / "model" / "code" / "inference.py").write_text(code)
    (folder / "model" / "weights").write_text("w")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runtime, up = runtime_of(lab.cloud), threading.Event()
    lines: list[str] = []

    def line(text: str) -> None:
        lines.append(text)
        if text.startswith("serving on"):
            up.set()

    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    prepared = runtime.prepare(IMAGE, account=ACCOUNT, region=REGION, role_arn=lab.role)
    process = runtime.spawn(prepared, command=["serve"], environment=environment, base_dir=folder, log=line)
    try:
        assert up.wait(90), lines

        def ask(method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str, str]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            result = answer.status, answer.headers["Content-Type"], answer.read().decode()
            connection.close()
            return result

        yield ask
    finally:
        process.kill()
        assert process.wait(90) is not None


def test_the_users_functions_answer(lab: Any, tmp_path: Path) -> None:
    with serving(lab, tmp_path, OWN) as ask:
        assert ask("GET", "/ping")[::2] == (200, "")
        assert ask("POST", "/invocations", "a,b", Content_Type="text/csv", Accept="text/plain") == (200, "text/plain", "w|a|b|text/csv")
        assert ask("POST", "/invocations", "break", Content_Type="text/csv")[0] == 500
        assert ask("GET", "/ping")[0] == 200
        assert ask("GET", "/other")[0] == 404


def test_the_defaults_read_and_write_csv_and_json(lab: Any, tmp_path: Path) -> None:
    with serving(lab, tmp_path, DEFAULTS) as ask:
        assert ask("POST", "/invocations", "[[1, 2], [3, 4]]", Content_Type="application/json") == (200, "application/json", "[3, 7]")
        assert ask("POST", "/invocations", "1,2\n3,4", Content_Type="text/csv", Accept="text/csv") == (200, "text/csv", "3\n7\n")
        assert ask("POST", "/invocations", "<x/>", Content_Type="text/xml")[0] == 415
        assert ask("POST", "/invocations", "[[1]]", Content_Type="application/json", Accept="text/xml")[0] == 415


@pytest.mark.parametrize(
    ("code", "reason"), [("x = 1", "provide a model_fn"), ("def model_fn(d): raise OSError('no weights')", "no weights")]
)
def test_a_script_that_can_not_load_its_model_ends(lab: Any, tmp_path: Path, code: str, reason: str) -> None:
    (tmp_path / "model" / "code").mkdir(parents=True)
    (tmp_path / "model" / "code" / "inference.py").write_text(code)
    runtime = runtime_of(lab.cloud)
    prepared = runtime.prepare(IMAGE, account=ACCOUNT, region=REGION, role_arn=lab.role)
    lines: list[str] = []
    process = runtime.spawn(prepared, command=["serve"], environment={}, base_dir=tmp_path, log=lines.append)
    assert process.wait(90) == 1
    assert reason in lines[-1]


TRAIN = """
import argparse, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
options = parser.parse_args()
print("depth", options.depth + 1, os.environ["SM_HP_DEPTH"], os.environ["SM_CHANNELS"], os.environ["SM_CURRENT_HOST"])
data = open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "a.csv")).read()
open(os.path.join(options.model_dir, "model"), "w").write(data)
sys.exit(3 if data == "bad" else 0)
"""


def source_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("train.py")
        entry.size = len(TRAIN)
        archive.addfile(entry, io.BytesIO(TRAIN.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize(("data", "status"), [("good", "Completed"), ("bad", "Failed")])
def test_training_runs_the_users_script_with_its_hyperparameters(lab: Any, data: str, status: str) -> None:
    source = lab.put("script/sourcedir.tar.gz", source_archive())
    train = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": lab.put(f"script/{data}/a.csv", data)}}
    described = lab.run_training(
        lab.training(
            f"script-{data}",
            IMAGE,
            HyperParameters={"depth": "4", "sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{source}"'},
            InputDataConfig=[{"ChannelName": "train", "DataSource": train}],
        )
    )
    assert described["TrainingJobStatus"] == status
    assert 'depth 5 4 ["train"] algo-1' in lab.log_lines("Training", f"script-{data}")
    if status == "Failed":
        assert described["FailureReason"] == "AlgorithmError: the script train.py exited with 3, exit code: 3"
