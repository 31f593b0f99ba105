"""The data contract: one parser for training data and requests, and nothing is repaired."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import ConfigError
from pipelines.contract import ContractViolation, load_contract, read_csv, write_csv

CONTRACT = load_contract(Path(__file__).parents[2] / "workloads/mortgage/contract.yaml")
ROW = {
    "application": 7,
    "deny": "no",
    "pirat": 0.3,
    "hirat": 0.25,
    "lvrat": 0.8,
    "chist": "1",
    "mhist": "2",
    "phist": "no",
    "unemp": 3.9,
    "selfemp": "no",
    "insurance": "no",
    "condomin": "no",
    "afam": "no",
    "single": "no",
    "hschool": "yes",
}


def test_a_request_needs_the_inputs_alone_and_drops_the_rest() -> None:
    inputs = {name: value for name, value in ROW.items() if name not in ("application", "deny", "afam")}
    assert CONTRACT.parse([inputs], inputs_only=True) == CONTRACT.parse([ROW], inputs_only=True)
    assert "afam" not in CONTRACT.parse([ROW], inputs_only=True)[0]
    with pytest.raises(ContractViolation, match="deny is missing"):
        CONTRACT.parse([inputs])


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("pirat", "0,3", "is '0,3', not a number"),
        ("pirat", "nan", "is not finite"),
        ("pirat", True, "not a number"),
        ("pirat", 10**400, "is not finite"),
        ("pirat", "1_0e-1", "not a number"),
        ("pirat", "\uff11", "not a number"),
        ("lvrat", 7, "outside 0 to 3"),
        ("phist", "maybe", "not one of no, yes, not_reported"),
        ("chist", "", "is missing"),
        ("chist", None, "is missing"),
    ],
)
def test_what_breaks_the_contract_is_named_with_row_and_column(column: str, value: object, says: str) -> None:
    with pytest.raises(ContractViolation) as caught:
        CONTRACT.parse([ROW, {**ROW, column: value}])
    assert caught.value.problems[0].startswith(f"row 2: {column} ")
    assert says in caught.value.problems[0]


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(ContractViolation, match="unknown column 'pirta'"):
        CONTRACT.parse([{**ROW, "pirta": 1}], inputs_only=True)


def test_the_domain_holds_what_the_data_does_not_show() -> None:
    assert CONTRACT.parse([{**ROW, "phist": "not_reported"}])[0]["phist"] == "not_reported"


@given(st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=20))
def test_numbers_survive_the_way_through_csv(values: list[float]) -> None:
    text = write_csv(["pirat"], [{"pirat": value} for value in values])
    assert [float(str(row["pirat"])) for row in read_csv(text)] == values


def test_a_mark_of_byte_order_is_no_part_of_a_column() -> None:
    assert read_csv("\ufeffa,b\r\n1,2\r\n") == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,b\n1\n", "a\n" + "x" * 200_000])
def test_a_csv_without_a_clear_table_is_refused(text: str) -> None:
    with pytest.raises(ContractViolation):
        read_csv(text)


def test_a_wrong_contract_file_says_where(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(
        "version: 1\nstatistics: {minimum_rows: 1, maximum_psi: 1}\nfields: [{name: x, role: input, type: category, description: d}]"
    )
    with pytest.raises(ConfigError, match="category x needs a domain") as caught:
        load_contract(path)
    assert caught.value.where == str(path)
