"""Runs releases in processes that can be killed: everything is imported once, and each run is a fork.

Reads one JSON document a line from standard input, and answers each with one: {"signal", "calls", "outcome" or "error"}. The release code
knows nothing of it: its calls are seen by an observer on the clients, which does to the run what its fate says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import zlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

import boto3
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from infra.errors import LockstepError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import exit_message
from pipelines.promotion.plan import Order
from pipelines.promotion.seam import Aws

SERVICES = ("sagemaker", "cloudwatch", "s3", "ecr", "kms", "iam", "sts", "dynamodb")
CODE = f"{os.sep}pipelines{os.sep}promotion{os.sep}"


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What befalls a run.

    Attributes:
        kill_after: SIGKILL after so many calls were answered; if there is `count_from`, from the first of that operation on.
        known_sites: SIGKILL after the first call from a place in the code that is not among these; the place is told as "site".
        one_in: only at places whose checksum is divisible by this.
        stop_before: SIGSTOP when the journal has been told of this call and it is about to be made.
        faults: by operation, what befalls its calls in turn: "ok", "throttled", "lost" (done, and no attempt of the SDK gets the answer),
            "lost once" (the SDK asks again), "stale" (answered as the time before), "ancient" (answered as the first time).
    """

    kill_after: int | None = None
    count_from: str = ""
    known_sites: list[str] | None = None
    one_in: int = 1
    stop_before: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)


def main() -> None:
    first = json.loads(sys.stdin.readline())
    outputs = EnvironmentOutputs.model_validate(first["outputs"])
    aws = Aws(boto3.Session(region_name=outputs.region), table=outputs.promotion.journal_table_name)
    observer = Observer()
    for client in [aws.client(service) for service in SERVICES] + [aws._client("sagemaker-runtime")]:
        client.meta.events.register_first("before-call", observer.asked)
        client.meta.events.register("before-send", observer.sent)
        client.meta.events.register_last("after-call", observer.answered)
    forks = Forks()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        if "go_on" in wanted:
            os.kill(wanted["go_on"], signal.SIGCONT)
            told = forks.await_end(wanted["go_on"])
        else:
            told = forks.start(lambda report, wanted=wanted: run(aws, outputs, observer, wanted, report))  # type: ignore[misc]
        print(json.dumps(told), flush=True)


class Throttled:
    """The HTTP side of an answer that was never sent for."""

    status_code = 400
    headers: ClassVar[dict[str, str]] = {}


class Observer:
    """Sees the calls of one run, in order."""

    def __init__(self) -> None:
        self.fate = Fate()
        self.calls: list[str] = []
        self.report = -1
        self._counted = 0
        self._fault = ""
        self._answers: dict[str, list[dict[str, Any]]] = {}

    def asked(self, model: Any, **_: Any) -> Any:
        if self.fate.stop_before == model.name:
            self.fate = Fate()
            os.kill(os.getpid(), signal.SIGSTOP)
        befalling = self.fate.faults.get(model.name, [])
        self._fault = befalling.pop(0) if befalling else "ok"
        if self._fault == "throttled":
            said = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            return Throttled(), said
        return None

    def sent(self, request: Any, **_: Any) -> None:
        if self._fault == "lost once":
            self._fault = "ok"
            URLLib3Session().send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

    def answered(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        self.calls.append(model.name)
        os.write(self.report, f"call {model.name}\n".encode())
        if self._fault == "lost":
            raise ConnectionClosedError(endpoint_url=model.name)
        known = self._answers.setdefault(model.name, [])
        if self._fault in ("stale", "ancient") and known:
            metadata = parsed["ResponseMetadata"]
            parsed.clear()
            parsed.update({**known[-1 if self._fault == "stale" else 0], "ResponseMetadata": metadata})
        elif model.name == "DescribeEndpoint":
            known.append(dict(parsed))
        if self.fate.known_sites is not None and self._is_new(site := _site(model.name)):
            os.write(self.report, f"site {site}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self._counted += 1 if self._counted else self.fate.count_from in ("", model.name)
        if self.fate.kill_after is not None and self._counted >= self.fate.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_new(self, site: str) -> bool:
        return site not in (self.fate.known_sites or ()) and zlib.crc32(site.encode()) % self.fate.one_in == 0


def _site(operation: str) -> str:
    """The functions of the release code through which a call is made."""
    names, frame = [operation], sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if CODE in frame.f_code.co_filename:
            names.append(frame.f_code.co_name)
    return ">".join(reversed(names))


def run(aws: Aws, outputs: EnvironmentOutputs, observer: Observer, wanted: dict[str, Any], report: int) -> None:
    observer.report, observer.fate = report, Fate(**wanted["fate"])
    try:
        said = exit_message(Engine(aws, outputs, run=wanted["run"]).execute(Order(**wanted["order"])))
    except LockstepError as error:
        said = exit_message(error)
    except BaseException as error:
        said = json.dumps({"crash": repr(error)})
    os.write(report, f"end {said}\n".encode())


class Forks:
    """The runs that were begun, and what they have told so far."""

    def __init__(self) -> None:
        self._reports: dict[int, int] = {}

    def start(self, work: Any) -> dict[str, Any]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            work(write)
            os._exit(0)
        os.close(write)
        self._reports[child] = read
        return self.await_end(child)

    def await_end(self, child: int) -> dict[str, Any]:
        """What a run came to, or that it was stopped. A run tells little, so that no pipe fills up."""
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return {"stopped": child}
        with os.fdopen(self._reports.pop(child), "rb") as pipe:
            told = [line.split(" ", 1) for line in pipe.read().decode().splitlines()]
        found = {kind: [text for k, text in told if k == kind] for kind in ("call", "site", "end")}
        ended = json.loads(found["end"][0]) if found["end"] else {}
        site = found["site"][0] if found["site"] else ""
        return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "calls": found["call"], "site": site, **ended}


if __name__ == "__main__":
    main()
