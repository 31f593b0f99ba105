"""The workload that ships: its data, its fairness, and a second version of it that only live traffic can fault."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lockstep import datasets
from lockstep.datasets import DataFile
from pipelines.contract import Record, read_csv
from pipelines.gates import judge, parse_gates
from pipelines.jobs.evaluate import measure
from pipelines.jobs.prepare import TEST_PERCENT, bucket
from pipelines.serving.handler import JSON, Handler
from pipelines.workload import Workload, load_workload

ROOT = Path(__file__).parents[2]
GATES = parse_gates((ROOT / "workloads/mortgage/gates.yaml").read_text(), "gates.yaml")
Rows = tuple[list[Record], list[Record], list[Record]]


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload("mortgage")


@pytest.fixture(scope="module")
def files() -> tuple[DataFile, DataFile]:
    return datasets.export("mortgage")


@pytest.fixture(scope="module")
def rows(workload: Workload, files: tuple[DataFile, DataFile]) -> Rows:
    """Training, test and golden records."""
    data, golden = (workload.contract.parse(read_csv(file.content.decode())) for file in files)
    test = [record for record in data if bucket("mortgage", "test", record["application"]) < TEST_PERCENT]
    return [record for record in data if record not in test], test, golden


def evaluate(workload: Workload, rows: Rows, hyperparameters: dict[str, object]) -> tuple[Handler, dict[str, object]]:
    handler = Handler(workload, workload.code.train(rows[0], rows[1], hyperparameters, workload.spec), "test")
    found: dict[str, object] = measure(workload, handler, rows[2])["metrics"]
    return handler, found


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The second candidate's features, in place of the shipped ones."""
    from workloads.mortgage import features

    spec = importlib.util.spec_from_file_location("bands", ROOT / "demo/mortgage-bands/features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(features, "matrix", module.matrix)
    monkeypatch.setattr(features, "encoder", module.encoder)
    return module


def test_all_rows_are_exported_once_and_always_alike(files: tuple[DataFile, DataFile]) -> None:
    data, golden = files
    assert data.rows + golden.rows == 2380
    assert not set(data.content.splitlines()[1:]) & set(golden.content.splitlines()[1:])
    assert [file.sha256 for file in datasets.export("mortgage")] == [data.sha256, golden.sha256]


def test_the_contract_allows_what_no_row_shows(workload: Workload, rows: Rows) -> None:
    shown = {record["phist"] for part in rows for record in part}
    allowed = next(field.domain for field in workload.contract.fields if field.name == "phist")
    assert set(allowed) - shown == {"not_reported"}


def test_the_shipped_settings_pass_and_a_plain_model_fails_on_fairness(workload: Workload, rows: Rows) -> None:
    _, shipped = evaluate(workload, rows, {})
    assert judge(GATES, shipped, None).passed
    _, plain = evaluate(workload, rows, {"mitigation": "none"})
    verdict = judge(GATES, plain, None)
    assert [result.name for result in verdict.results if result.status == "refused"] == ["fairness"]
    assert verdict.summary.startswith("fairness: equal_opportunity_difference 0.15")


def test_training_is_repeatable(workload: Workload, rows: Rows) -> None:
    first, second = (workload.code.train(rows[0], rows[1], {}, workload.spec).predict(rows[2]) for _ in range(2))
    assert first == second


def test_a_misspelt_hyperparameter_is_refused(workload: Workload, rows: Rows) -> None:
    with pytest.raises(ValueError, match="mitigatoin"):
        workload.code.train(rows[0], rows[1], {"mitigatoin": "none"}, workload.spec)


def test_the_second_candidate_passes_every_offline_gate(
    workload: Workload, rows: Rows, bands: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = evaluate(workload, rows, {})
    monkeypatch.undo()
    _, champion = evaluate(workload, rows, {})
    verdict = judge(GATES, second, champion)
    assert verdict.passed, verdict.summary
    assert float(str(second["f1"])) > float(str(champion["f1"]))  # it looks like progress


def test_the_second_candidate_does_not_survive_an_unseen_category(workload: Workload, rows: Rows, bands: ModuleType) -> None:
    import json

    handler, _ = evaluate(workload, rows, {})
    row = {name: value for name, value in rows[2][0].items() if name not in ("application", "deny", "afam")}
    assert handler.answer(json.dumps({"instances": [row]}).encode(), JSON)
    with pytest.raises(KeyError, match="not_reported"):  # no BadRequest: the contract allows the value, so the model is at fault
        handler.answer(json.dumps({"instances": [row | {"phist": "not_reported"}]}).encode(), JSON)
