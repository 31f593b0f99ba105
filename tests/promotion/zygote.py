"""Runs releases in processes that can be killed: everything is imported once, and each run is a fork.

Reads one JSON document a line from standard input, and answers each with one: {"signal", "calls", "outcome" or "error"}. The release code
knows nothing of it: the calls are counted by an observer on the clients, which ends the process after the n-th.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import boto3

from infra.errors import LockstepError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import exit_message
from pipelines.promotion.plan import Order
from pipelines.promotion.seam import Aws

SERVICES = ("sagemaker", "cloudwatch", "s3", "ecr", "kms", "sts", "dynamodb")


def main() -> None:
    first = json.loads(sys.stdin.readline())
    outputs = EnvironmentOutputs.model_validate(first["outputs"])
    aws = Aws(boto3.Session(region_name=outputs.region), table=outputs.promotion.journal_table_name)
    counter = Counter()
    for service in SERVICES:
        aws.client(service).meta.events.register_last("after-call", counter)
    aws._client("sagemaker-runtime").meta.events.register_last("after-call", counter)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(aws, outputs, counter, json.loads(line))), flush=True)


class Counter:
    """Counts answered calls and, after the n-th, ends the process the hard way."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.kill_after: int | None = None
        self.report: int = -1

    def __call__(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        os.write(self.report, f"{model.name}\n".encode())
        if self.kill_after is not None and len(self.calls) >= self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


def run(aws: Aws, outputs: EnvironmentOutputs, counter: Counter, wanted: dict[str, Any]) -> dict[str, Any]:
    calls_read, calls_write = os.pipe()
    end_read, end_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(calls_read)
        os.close(end_read)
        counter.report, counter.kill_after = calls_write, wanted.get("kill_after")
        try:
            outcome = Engine(aws, outputs, run=wanted["run"]).execute(Order(**wanted["order"]))
            os.write(end_write, exit_message(outcome).encode())
        except LockstepError as error:
            os.write(end_write, exit_message(error).encode())
        except BaseException as error:
            os.write(end_write, json.dumps({"crash": repr(error)}).encode())
        os._exit(0)
    os.close(calls_write)
    os.close(end_write)
    calls = _drain(calls_read).split()
    said = _drain(end_read)
    _, status = os.waitpid(child, 0)
    ended = json.loads(said) if said else {}
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "calls": calls, **ended}


def _drain(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read().decode()


if __name__ == "__main__":
    main()
