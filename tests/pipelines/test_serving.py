"""Serving, through the real server process and HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.datasets import DataFile
from pipelines.serving.app import MAX_BODY
from pipelines.serving.handler import CSV, JSON, BadRequest, Handler

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


@pytest.fixture(scope="module")
def port(trained: Path) -> Iterator[int]:
    """Port of a server that serves the trained model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    environment = os.environ | {
        "LOCKSTEP_WORKLOAD": "mortgage",
        "SAGEMAKER_BASE_DIR": str(trained),
        "SAGEMAKER_BIND_TO_PORT": str(number),
        "PYTHONPATH": str(ROOT),
    }
    server = subprocess.Popen([sys.executable, "-m", "pipelines.serving.serve"], env=environment, cwd=trained)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _pings(number):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer /ping"
            time.sleep(0.1)
        yield number
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0


def ask(port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_ping_has_an_empty_body(port: int) -> None:
    assert ask(port, "GET", "/ping") == (200, b"")


def test_csv_and_json_give_the_answers_that_evaluation_recorded(port: int, trained: Path) -> None:
    probes = json.loads((trained / "processing/output/evaluation/probes.json").read_text())["requests"]
    assert len(probes) == 50
    for probe in probes[:5]:
        status, body = ask(port, "POST", "/invocations", probe["body"].encode(), {"Content-Type": probe["content_type"]})
        assert (status, json.loads(body)) == (200, json.loads(probe["answer"]))
        header, values = probe["body"].splitlines()
        instance = dict(zip(header.split(","), values.split(","), strict=True))
        same = ask(port, "POST", "/invocations", json.dumps({"instances": [instance]}).encode(), {"Content-Type": "application/json"})
        assert json.loads(same[1]) == json.loads(probe["answer"])


def test_a_whole_golden_file_can_be_sent(port: int, exported: tuple[DataFile, DataFile]) -> None:
    golden = exported[1]
    status, body = ask(port, "POST", "/invocations", golden.content, {"Content-Type": "text/csv; charset=utf-8"})
    answer = json.loads(body)
    assert status == 200
    assert len(answer["predictions"]) == golden.rows
    assert all(0 <= each["probability"] <= 1 and each["label"] in ("yes", "no") for each in answer["predictions"])


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("GET", "/invocations", b"", CSV, 405),
        ("POST", "/ping", b"", CSV, 405),
        ("GET", "/else", b"", CSV, 404),
        ("POST", "/invocations", b"", CSV, 400),
        ("POST", "/invocations", b"pirat\n0.3\n", CSV, 400),
        ("POST", "/invocations", b"\xff\xfe", CSV, 400),
        ("POST", "/invocations", b"{", JSON, 400),
        ("POST", "/invocations", b'{"instances": []}', JSON, 400),
        ("POST", "/invocations", b'{"instances": [{"pirat": 1' + b"0" * 400 + b"}]}", JSON, 400),
        ("POST", "/invocations", b"[" * 100_000, JSON, 400),
        ("POST", "/invocations", b"pirat\n" + b"x" * 200_000, CSV, 400),
        ("POST", "/invocations", b"<x/>", "text/xml", 415),
    ],
)
def test_what_is_the_callers_fault_is_4xx(port: int, method: str, path: str, body: bytes, kind: str, status: int) -> None:
    answered, text = ask(port, method, path, body, {"Content-Type": kind})
    assert answered == status
    assert json.loads(text)["error"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(MAX_BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_category_unseen_in_training_is_answered(handler: Handler, trained: Path) -> None:
    probe = json.loads((trained / "processing/output/evaluation/probes.json").read_text())["requests"][0]
    header, values = probe["body"].splitlines()
    row = dict(zip(header.split(","), values.split(","), strict=True)) | {"phist": "not_reported"}
    answer = json.loads(handler.answer(json.dumps({"instances": [row]}).encode(), JSON))
    assert 0 < answer["predictions"][0]["probability"] < 1
    with pytest.raises(BadRequest, match="phist is 'unheard'"):
        handler.answer(json.dumps({"instances": [row | {"phist": "unheard"}]}).encode(), JSON)


def _pings(port: int) -> bool:
    try:
        return ask(port, "GET", "/ping")[0] == 200
    except OSError:
        return False
