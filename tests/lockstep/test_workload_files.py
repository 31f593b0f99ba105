"""A workload's files are checked before an image is made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lockstep.conftest import ROOT, Ran

GATES = (ROOT / "workloads" / "mortgage" / "gates.yaml").read_text(encoding="utf-8")
CONTRACT = (ROOT / "workloads" / "mortgage" / "contract.yaml").read_text(encoding="utf-8")


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    folder.mkdir()
    return folder


@pytest.fixture
def build(lockstep: Callable[..., Ran], overlay: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Ran]:
    """Builds the shipped workload with the overlay."""
    monkeypatch.setattr("lockstep.commands.image.project_root", lambda: ROOT)
    return lambda: lockstep("image", "build", "mortgage", "--overlay", str(overlay), "--json")


@pytest.mark.parametrize(
    ("name", "content", "where", "message"),
    [
        ("gates.yaml", GATES.replace("minimum: 0.80", "minimum: .nan"), "", "gates.0: gate ranking: a threshold must be finite"),
        ("gates.yaml", GATES.replace("minimum: 0.80", "minimun: 0.80"), "", "minimun: Extra inputs are not permitted"),
        ("gates.yaml", GATES.replace("metric: auc", "metric: acu", 1), ", gates.0.metric", "acu is no known metric"),
        ("gates.yaml", "gates: [", "", "the gates are wrong: while parsing"),
        ("gates.yaml", "", "", "the gates are wrong: the whole: Input should be"),
        ("contract.yaml", CONTRACT.replace('domain: ["no", "yes"]', "domain: []", 1), "", "category deny needs a domain"),
        ("contract.yaml", b"\xff\xfe", "", "the data contract is wrong: byte 0 is not UTF-8"),
        ("workload.yaml", "name: mortgage\n", "", "title: Field required"),
    ],
)
def test_a_wrong_file_is_named(build: Callable[[], Ran], overlay: Path, name: str, content: str | bytes, where: str, message: str) -> None:
    (overlay / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    ran = build()
    error = ran.json["error"]
    assert (ran.code, error["kind"], error["where"]) == (2, "ConfigError", f"{overlay / name}{where}")
    assert message in error["message"]
    assert "pydantic" not in error["message"]
    assert error["remedy"]


def test_right_files_are_built(build: Callable[[], Ran], overlay: Path) -> None:
    (overlay / "gates.yaml").write_text(GATES.replace("minimum: 0.80", "minimum: 0.75"), encoding="utf-8")
    assert build().json["digest"].startswith("sha256:")
