"""Evaluate: judge one model on the golden data, with the code of its own image and through its own serving handler.

in: model (model.tar.gz), golden (one CSV), for the champion also champion/champion.json
out: evaluation/{evaluation.json, gates.yaml, probes.json}
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines import metrics
from pipelines.contract import Record, read_csv, write_csv
from pipelines.jobs.place import expect_sha256, input_folder, only_file, output_folder, read_json, run_processing, sha256, write_json
from pipelines.serving.handler import CSV, Handler, load_handler
from pipelines.workload import Workload, load_workload

WARM_UP = 20
TIMED = 200
PROBES = 50
PERCENTILE = 95


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the evaluation; a champion that does not exist is said to be not applicable.

    Raises:
        IntegrityError: the champion's bytes or image are not those that serve.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--subject", choices=["candidate", "champion"], required=True)
    parser.add_argument("--image", required=True)
    options = parser.parse_args(arguments)

    out = output_folder("evaluation")
    workload = load_workload()
    champion = read_json(input_folder("champion") / "champion.json") if options.subject == "champion" else {}
    who = {key: champion[key] for key in ("kind", "model_package_arn") if key in champion}
    if who.get("kind") == "none":
        write_json(out / "evaluation.json", {"applicable": False, "subject": "champion", **who})
        return
    archive = only_file(input_folder("model"), "model.tar.gz")
    if options.subject == "champion":
        expect_sha256("champion's artefact", archive, champion["artefact_sha256"])
    golden = only_file(input_folder("golden"), "*.csv")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        handler = load_handler(Path(folder), workload)
        records = workload.contract.parse(read_csv(golden.read_text(encoding="utf-8")))
        found = measure(workload, handler, records)
        probes = make_probes(workload, handler, records)
    document = {
        "applicable": True,
        "subject": options.subject,
        **who,
        "workload": workload.spec.name,
        "image": options.image,
        "artefact_sha256": sha256(archive),
        "golden_sha256": sha256(golden),
        "code_sha256": code_sha256(workload.folder.parents[1]),
        **found,
    }
    write_json(out / "evaluation.json", document)
    write_json(out / "probes.json", {"requests": probes})
    shutil.copyfile(workload.folder / "gates.yaml", out / "gates.yaml")
    print(json.dumps(document["metrics"], sort_keys=True))


def measure(workload: Workload, handler: Handler, records: Sequence[Record]) -> dict[str, Any]:
    """`{"metrics": {...}, "slices": {...}}` of a model on records that carry target and protected attribute.

    Latency is that of the serving handler, in milliseconds, one record a request, without the network.
    """
    spec = workload.spec
    answers = handler.model.predict(records)
    outcomes = [record[spec.target] == spec.positive for record in records]
    scores = [answer.probability for answer in answers]
    decisions = [answer.label == spec.positive for answer in answers]
    columns = {name: [str(record[name]) for record in records] for name in dict.fromkeys((*spec.slices, spec.protected))}
    slices = metrics.slices(columns, outcomes, decisions, scores)
    found = {
        "count": len(records),
        "auc": metrics.auc(outcomes, scores),
        "accuracy": metrics.accuracy(outcomes, decisions),
        "f1": metrics.f1(outcomes, decisions),
        "brier": metrics.brier(outcomes, scores),
        "ece": metrics.ece(outcomes, scores),
        "equal_opportunity_difference": metrics.equal_opportunity_difference(
            [record[spec.target] == spec.favourable for record in records],
            [answer.label == spec.favourable for answer in answers],
            [record[spec.protected] == spec.protected_group for record in records],
        ),
        "worst_slice_accuracy": metrics.worst_slice_accuracy(slices, (spec.protected, str(spec.protected_group))),
        "latency_p95_ms": _latency(workload, handler, records),
    }
    return {"metrics": found, "slices": slices}


def make_probes(workload: Workload, handler: Handler, records: Sequence[Record]) -> list[dict[str, str]]:
    """Requests with the answers that this model gives them: a release sends them to see that the right model serves."""
    return [
        {"content_type": CSV, "body": body, "answer": handler.answer(body.encode(), CSV).decode()}
        for body in (_request(workload, record) for record in records[:PROBES])
    ]


def code_sha256(program: Path) -> str:
    """Hex digest of the code that runs: every file of workloads/, pipelines/ and infra/ by name and content."""
    found = hashlib.sha256()
    for room in ("infra", "pipelines", "workloads"):
        for path in sorted((program / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(program).as_posix()}\0{sha256(path)}\n".encode())
    return found.hexdigest()


def _latency(workload: Workload, handler: Handler, records: Sequence[Record]) -> float:
    bodies = [_request(workload, records[index % len(records)]).encode() for index in range(WARM_UP + TIMED)] if records else []
    times: list[float] = []
    for body in bodies:
        start = time.perf_counter()
        handler.answer(body, CSV)
        times.append((time.perf_counter() - start) * 1000)
    return metrics.percentile(times[WARM_UP:], PERCENTILE)


def _request(workload: Workload, record: Record) -> str:
    return write_csv([field.name for field in workload.contract.inputs], [record])


if __name__ == "__main__":
    run_processing(main)
