"""Jobs as functions on private folders, on the real data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.errors import GateRefused, IntegrityError
from lockstep.datasets import DataFile
from pipelines import baseline as baselines
from pipelines.gates import judge, parse_gates
from pipelines.jobs import evaluate, gates, prepare, register, train, validate
from pipelines.jobs.place import run_processing, run_training
from pipelines.promotion.outcome import parse_exit_message
from tests.pipelines.conftest import IMAGE, environment

Job = Callable[..., Path]
Exported = tuple[DataFile, DataFile]
ARTEFACTS = "lockstep-dev-artefacts-111111111111"


class Objects:
    """S3 with the few objects of a test: uri -> bytes."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        import io

        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "none"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}


def run_validate(
    job: Job, content: bytes, version: str, baseline: dict[str, Any] | None = None, baseline_version: str = ""
) -> dict[str, Any]:
    folder = job("validate", {"data/data.csv": content})
    s3 = Objects(**({"current.json": json.dumps(baseline).encode()} if baseline else {}))
    accepted = baseline_version or baselines.version(baseline)
    where = ["--baseline-uri", "s3://artefacts/current.json", "--baseline-version", accepted]
    validate.main(["--data-version", version, *where], s3=s3)
    report: dict[str, Any] = json.loads((folder / "processing/output/report/validation.json").read_text())
    return report


def test_the_shipped_data_is_valid_and_like_itself(job: Job, exported: Exported) -> None:
    data = exported[0]
    report = run_validate(job, data.content, data.sha256)
    assert report["problems"] == []
    assert report["compared_with"] is None
    again = run_validate(job, data.content, data.sha256, baseline=report)
    assert again["compared_with"] == data.sha256


def test_the_accepted_baseline_is_read_in_the_environments_region(job: Job, exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region, boto3 calls a global address that a network without a way out does not reach."""
    there = environment().model_copy(update={"region": "eu-central-1"})
    job("region", {"data/data.csv": exported[0].content, "environment/outputs.json": there.model_dump_json().encode()})
    asked: list[Any] = []

    def client(name: str, region_name: str = "") -> Objects:
        asked.append((name, region_name))
        return Objects()

    monkeypatch.setattr(boto3, "client", client)
    validate.main(["--data-version", exported[0].sha256, "--baseline-uri", "s3://artefacts/current.json", "--baseline-version", "none"])
    assert asked == [("s3", "eu-central-1")]


def test_other_bytes_than_the_version_names_are_refused(job: Job, exported: Exported) -> None:
    with pytest.raises(IntegrityError, match="its version says"):
        run_validate(job, exported[0].content + b"\n", exported[0].sha256)


def test_data_that_moved_from_the_baseline_is_refused_with_the_column(job: Job, exported: Exported) -> None:
    data = exported[0]
    baseline = run_validate(job, data.content, data.sha256)
    header, *rows = data.content.decode().splitlines()
    column = header.split(",").index("unemp")
    moved = []
    for row in rows:
        cells = row.split(",")
        cells[column] = "12"
        moved.append(",".join(cells))
    content = "\n".join([header, *moved, ""]).encode()
    with pytest.raises(GateRefused, match=r"unemp moved from the accepted baseline: stability index \d+\.\d+ > 0\.250"):
        run_validate(job, content, hashlib.sha256(content).hexdigest(), baseline=baseline)


def test_a_run_that_was_started_against_another_baseline_is_refused(job: Job, exported: Exported) -> None:
    data = exported[0]
    accepted = run_validate(job, data.content, data.sha256)
    for started in ("none", "0" * 64):
        with pytest.raises(IntegrityError, match=f"the run was started against {started}") as raised:
            run_validate(job, data.content, data.sha256, baseline=accepted, baseline_version=started)
        assert "Start the training again" in str(raised.value.remedy)


def test_rows_that_break_the_contract_are_refused(job: Job, exported: Exported) -> None:
    content = exported[0].content.replace(b",no,", b",perhaps,", 1)
    with pytest.raises(GateRefused, match=r"row 1: .* is 'perhaps'"):
        run_validate(job, content, hashlib.sha256(content).hexdigest())


def test_the_split_is_disjoint_complete_and_stable(job: Job, exported: Exported) -> None:
    data, golden = exported
    folder = job("prepare", {"data/data.csv": data.content, "golden/golden.csv": golden.content})
    prepare.main(digests(data.content, golden.content))
    sides = [set((folder / f"processing/output/{name}/{name}.csv").read_text().splitlines()[1:]) for name in ("train", "test")]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(data.content.decode().splitlines()[1:])
    assert 0.1 < len(sides[1]) / data.rows < 0.3


def test_a_golden_row_in_the_training_data_is_a_leak(job: Job, exported: Exported) -> None:
    data, golden = exported
    leaking = data.content + golden.content.splitlines()[1] + b"\n"
    job("prepare", {"data/data.csv": leaking, "golden/golden.csv": golden.content})
    with pytest.raises(IntegrityError, match="1 rows are in the training data and in the golden set"):
        prepare.main(digests(leaking, golden.content))


def digests(data: bytes, golden: bytes) -> list[str]:
    return ["--data-version", hashlib.sha256(data).hexdigest(), "--golden-sha256", hashlib.sha256(golden).hexdigest()]


@pytest.mark.parametrize("changed", ["data", "golden"])
def test_rows_are_only_prepared_from_the_bytes_that_their_digests_name(job: Job, exported: Exported, changed: str) -> None:
    data, golden = (each.content for each in exported)
    given = {"data": data, "golden": golden}
    given[changed] += b"\n"
    job("prepare", {f"{name}/{name}.csv": content for name, content in given.items()})
    with pytest.raises(IntegrityError, match=f"the {changed} file has digest"):
        prepare.main(digests(data, golden))


def test_the_shipped_candidate_passes_its_gates(trained: Path) -> None:
    folder = trained / "processing/output/evaluation"
    found = json.loads((folder / "evaluation.json").read_text())
    rules = parse_gates((folder / "gates.yaml").read_text(), "gates.yaml")
    verdict = judge(rules, found["metrics"], None)
    assert verdict.passed, verdict.summary
    assert found["metrics"]["count"] == 675
    assert found["metrics"]["equal_opportunity_difference"] == pytest.approx(0.041, abs=0.01)
    assert found["image"] == IMAGE


NO_CHAMPION = {"kind": "none", "model_package_arn": "", "artefact_sha256": ""}
CHAMPION = {"kind": "release", "model_package_arn": "arn:package/1", "artefact_sha256": "b" * 64, "image": IMAGE}


def run_gates(
    job: Job, trained: Path, change: dict[str, Any], champion_evaluation: dict[str, Any], standing: dict[str, str]
) -> dict[str, Any]:
    evaluation = trained / "processing/output/evaluation"
    document = json.loads((evaluation / "evaluation.json").read_text())
    document["metrics"] |= change
    folder = job(
        "gates",
        {
            "candidate/evaluation.json": json.dumps(document).encode(),
            "candidate/gates.yaml": (evaluation / "gates.yaml").read_bytes(),
            "champion/evaluation.json": json.dumps(champion_evaluation).encode(),
            "standing/champion.json": json.dumps(standing).encode(),
            "environment/outputs.json": environment().model_dump_json().encode(),
        },
    )
    gates.main()
    found: dict[str, Any] = json.loads((folder / "processing/output/gates/gates.json").read_text())
    return found


def test_the_gates_job_writes_the_verdict_with_what_it_was_about(job: Job, trained: Path) -> None:
    found = run_gates(job, trained, {}, {"applicable": False, "kind": "none"}, NO_CHAMPION)
    assert found["passed"] is True
    assert found["artefact_sha256"] == hashlib.sha256((trained / "processing/input/model/model.tar.gz").read_bytes()).hexdigest()
    refused = run_gates(job, trained, {"auc": float("nan")}, {"applicable": False, "kind": "none"}, NO_CHAMPION)
    assert refused["passed"] is False
    assert "auc of the candidate is not a finite number" in refused["summary"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"applicable": False},
        {"applicable": False, "kind": "none"},
        {"applicable": False, "kind": "release"},
        {"applicable": True, "golden_sha256": "other"},
    ],
)
def test_a_champion_without_a_fitting_evaluation_refuses(job: Job, trained: Path, said: dict[str, Any]) -> None:
    found = run_gates(job, trained, {}, said, CHAMPION)
    assert found["passed"] is False
    assert "the champion has no auc" in found["summary"]


@pytest.mark.parametrize("key", ["artefact_sha256", "image"])
def test_an_evaluation_of_another_model_than_the_one_that_serves_is_no_comparison(job: Job, trained: Path, key: str) -> None:
    own = json.loads((trained / "processing/output/evaluation/evaluation.json").read_text())
    evaluated = {**own, "subject": "champion", "kind": "release", **{name: CHAMPION[name] for name in ("artefact_sha256", "image")}}
    assert run_gates(job, trained, {}, evaluated, CHAMPION)["passed"] is True
    with pytest.raises(IntegrityError, match=f"the champion that was evaluated has {key} other, what serves has"):
        run_gates(job, trained, {}, {**evaluated, key: "other"}, CHAMPION)


@pytest.mark.parametrize("changed", [False, True])
def test_the_champion_is_evaluated_if_its_bytes_are_those_that_serve(job: Job, trained: Path, exported: Exported, changed: bool) -> None:
    model = (trained / "processing/input/model/model.tar.gz").read_bytes()
    serves = "0" * 64 if changed else hashlib.sha256(model).hexdigest()
    inputs = {"champion/champion.json": json.dumps({**CHAMPION, "artefact_sha256": serves}).encode(), "model/model.tar.gz": model}
    folder = job("champion", {**inputs, "golden/golden.csv": exported[1].content})
    if changed:
        with pytest.raises(IntegrityError, match=f"the champion's artefact has digest [0-9a-f]+, not {serves}"):
            evaluate.main(["--subject", "champion", "--image", IMAGE])
        return
    evaluate.main(["--subject", "champion", "--image", IMAGE])
    found = json.loads((folder / "processing/output/evaluation/evaluation.json").read_text())
    assert (found["kind"], found["model_package_arn"], found["artefact_sha256"]) == ("release", "arn:package/1", serves)


def test_a_champion_that_does_not_exist_is_not_applicable(job: Job) -> None:
    folder = job("champion", {"champion/champion.json": b'{"kind": "none"}'})
    evaluate.main(["--subject", "champion", "--image", IMAGE])
    found = json.loads((folder / "processing/output/evaluation/evaluation.json").read_text())
    assert found == {"applicable": False, "subject": "champion", "kind": "none"}


REGISTER = ["--evaluation-uri", "s3://x/evaluation", "--gates-uri", "s3://x/gates", "--image", IMAGE, "--requested-by", "arn:aws:sts::1:x",
            "--execution-arn", "arn:run", "--model-uri", f"s3://{ARTEFACTS}/runs/model.tar.gz", "--data-version", "d" * 64]  # fmt: skip


def asked_for(trained: Path, *more: str) -> list[str]:
    """The arguments of Register, with the digest of the golden data that the candidate was judged on."""
    golden = json.loads((trained / "processing/output/evaluation/evaluation.json").read_text())["golden_sha256"]
    return [*REGISTER, "--golden-sha256", golden, *more]


class Recorder:
    """A session with moto's S3 and a SageMaker client that keeps the request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def client(self, name: str) -> Any:
        return boto3.client(name, region_name="us-east-1") if name == "s3" else self

    def create_model_package(self, **request: Any) -> dict[str, str]:
        self.requests.append(request)
        return {"ModelPackageArn": "arn:package/1"}


def register_inputs(job: Job, trained: Path, **verdict: Any) -> Path:
    evaluation = (trained / "processing/output/evaluation/evaluation.json").read_bytes()
    document = json.loads(evaluation)
    said = {
        "passed": True,
        "summary": "7 passed",
        **{key: document[key] for key in ("artefact_sha256", "image", "golden_sha256")},
        **verdict,
    }
    return job(
        "register",
        {
            "gates/gates.json": json.dumps(said).encode(),
            "candidate/evaluation.json": evaluation,
            "environment/outputs.json": environment().model_dump_json().encode(),
        },
    )


@mock_aws
def test_registering_brings_the_artefact_to_its_content_address(job: Job, trained: Path) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=ARTEFACTS)
    artefact = (trained / "processing/input/model/model.tar.gz").read_bytes()
    s3.put_object(Bucket=ARTEFACTS, Key="runs/model.tar.gz", Body=artefact)
    folder = register_inputs(job, trained)
    recorder = Recorder()
    for _ in range(2):  # the second time, everything is there already
        register.main(asked_for(trained), session=recorder)
    digest = hashlib.sha256(artefact).hexdigest()
    assert s3.get_object(Bucket=ARTEFACTS, Key=f"models/{digest}/model.tar.gz")["Body"].read() == artefact
    first, second = recorder.requests
    assert first == second
    container = first["InferenceSpecification"]["Containers"][0]
    assert container == {
        "Image": IMAGE,
        "ImageDigest": "sha256:" + "a" * 64,
        "ModelDataUrl": f"s3://{ARTEFACTS}/models/{digest}/model.tar.gz",
    }
    assert first["CustomerMetadataProperties"]["artefact-sha256"] == digest
    assert first["CustomerMetadataProperties"]["data-sha256"] == "d" * 64
    assert len(first["ClientToken"]) == 36
    assert (folder / "output/message").read_text() == "arn:package/1"


@mock_aws
def test_a_candidate_whose_data_was_compared_with_another_baseline_is_not_registered(job: Job, trained: Path) -> None:
    """A run may name an old baseline, and find an old verdict in the cache."""
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=ARTEFACTS)
    s3.put_object(Bucket=ARTEFACTS, Key="runs/model.tar.gz", Body=(trained / "processing/input/model/model.tar.gz").read_bytes())
    register_inputs(job, trained)
    report = {"data_version": "d" * 64, "statistics": {"rows": 1}, "baseline_version": "none"}
    asked = asked_for(trained, "--report-uri", f"s3://{ARTEFACTS}/runs/report")

    def put(key: str, value: dict[str, Any]) -> None:
        s3.put_object(Bucket=ARTEFACTS, Key=key, Body=json.dumps(value).encode())

    put("runs/report/validation.json", report)
    place = baselines.key(environment().workload)
    put(place, {**report, "data_version": "e" * 64})
    recorder = Recorder()
    with pytest.raises(IntegrityError, match=r"was compared with baseline none, accepted is [0-9a-f]{64}"):
        register.main(asked, session=recorder)
    assert recorder.requests == []
    put("runs/report/validation.json", {**report, "baseline_version": baselines.version({**report, "data_version": "e" * 64})})
    register.main(asked, session=recorder)
    accepted = baselines.read(s3, ARTEFACTS, place)
    assert accepted is not None
    assert accepted["data_version"] == "d" * 64
    put("runs/report/validation.json", report)
    register.main(asked, session=recorder)  # the very data that the baseline describes: nothing is left to compare
    assert len(recorder.requests) == 2
    assert baselines.read(s3, ARTEFACTS, place) == accepted


@mock_aws
def test_a_flipped_bit_in_the_artefact_is_refused(job: Job, trained: Path) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=ARTEFACTS)
    artefact = bytearray((trained / "processing/input/model/model.tar.gz").read_bytes())
    artefact[100] ^= 1
    s3.put_object(Bucket=ARTEFACTS, Key="runs/model.tar.gz", Body=bytes(artefact))
    register_inputs(job, trained)
    recorder = Recorder()
    with pytest.raises(IntegrityError, match="judged was"):
        register.main(asked_for(trained), session=recorder)
    assert recorder.requests == []


@pytest.mark.parametrize(
    ("verdict", "error"),
    [({"passed": False, "summary": "no"}, GateRefused), ({"passed": "true"}, GateRefused), ({"artefact_sha256": "0" * 64}, IntegrityError)],
)
def test_nothing_is_registered_without_a_verdict_about_this_very_candidate(
    job: Job, trained: Path, verdict: dict[str, Any], error: type[Exception]
) -> None:
    register_inputs(job, trained, **verdict)
    with pytest.raises(error):
        register.main(asked_for(trained), session=Recorder())


@pytest.mark.parametrize(("change", "says"), [(("--golden-sha256", "0" * 64), "the golden data"), (("--data-version", ""), "which data")])
def test_nothing_is_registered_without_the_digests_of_its_data(job: Job, trained: Path, change: tuple[str, str], says: str) -> None:
    register_inputs(job, trained)
    with pytest.raises(IntegrityError, match=says):
        register.main(asked_for(trained, *change), session=Recorder())


def test_an_error_becomes_the_exit_message_and_the_exit_code(job: Job) -> None:
    folder = job("message", {})

    def fail() -> None:
        raise GateRefused("too unfair", where="gates", remedy="train again")

    with pytest.raises(SystemExit) as ended:
        run_processing(fail)
    assert ended.value.code == 3
    said = parse_exit_message((folder / "output/message").read_text())
    assert isinstance(said, GateRefused)
    assert (said.message, said.where, said.remedy) == ("too unfair", "gates", "train again")


def test_a_training_failure_becomes_the_failure_reason(job: Job) -> None:
    folder = job("failure", {"x": b""})
    config = folder / "input/config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps({"hyperparameters": "[1]"}))
    with pytest.raises(SystemExit) as ended:
        run_training(train.main)
    assert ended.value.code == 2
    assert "the hyperparameters are no JSON object" in (folder / "output/failure").read_text()
