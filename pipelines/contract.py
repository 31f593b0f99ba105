"""The data contract of a workload: which columns, of which type, in which range or domain.

One parser for training data, golden data and live requests, so that what is refused in one place is refused in all.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from infra.errors import ConfigError
from pipelines.problems import told

Value = float | str
Record = dict[str, Value]
Role = Literal["identifier", "input", "target", "protected"]


class ContractViolation(Exception):
    """Data that breaks the contract. `problems`: one sentence each, with row and column."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""))
        self.problems = tuple(problems)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Field(_Model):
    """One column.

    A `number` has an inclusive range; a `category` has a domain, which may hold legitimate values that the data at hand does
    not show.
    """

    name: str
    role: Role
    type: Literal["number", "category"]
    description: str
    minimum: float | None = None
    maximum: float | None = None
    domain: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _bounds_fit_the_type(self) -> Field:
        if self.type == "category" and not self.domain:
            raise ValueError(f"category {self.name} needs a domain")
        if self.type == "number" and (self.minimum is None or self.maximum is None or self.domain):
            raise ValueError(f"number {self.name} needs minimum and maximum, and no domain")
        return self

    def parse(self, raw: object) -> Value:
        """The typed value.

        Raises:
            ValueError: with what is wrong, without the column's name.
        """
        if raw is None or raw == "":
            raise ValueError("is missing")
        if self.type == "category":
            text = str(raw)
            if text not in self.domain:
                raise ValueError(f"is {text[:40]!r}, not one of {', '.join(self.domain)}")
            return text
        if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
            raise ValueError(f"is {str(raw)[:40]!r}, not a number")
        if isinstance(raw, str) and ("_" in raw or not raw.isascii()):  # Python's numbers, and nobody else's
            raise ValueError(f"is {raw[:40]!r}, not a number")
        try:
            number = float(raw)
        except ValueError:
            raise ValueError(f"is {str(raw)[:40]!r}, not a number") from None
        except OverflowError:
            raise ValueError("is not finite") from None
        if not math.isfinite(number):
            raise ValueError("is not finite")
        assert self.minimum is not None
        assert self.maximum is not None
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"is {number:g}, outside {self.minimum:g} to {self.maximum:g}")
        return number


class StatisticsRules(_Model):
    """How far data may move from the last accepted baseline.

    `maximum_psi`: population stability index per column; 0.25 is the customary mark of a major shift.
    """

    minimum_rows: int
    maximum_psi: float


class Contract(_Model):
    version: int
    statistics: StatisticsRules
    fields: tuple[Field, ...]

    @property
    def inputs(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.role == "input")

    def parse(self, rows: Iterable[Mapping[str, object]], *, inputs_only: bool = False) -> list[Record]:
        """Typed records of raw rows.

        Args:
            rows: column -> raw value (text of a CSV, or a JSON value).
            inputs_only: for requests: columns that are no inputs may be absent and are dropped.

        Raises:
            ContractViolation: with every problem found; nothing is repaired.
        """
        wanted = self.inputs if inputs_only else self.fields
        known = {field.name for field in self.fields}
        records: list[Record] = []
        problems: list[str] = []
        for number, row in enumerate(rows, start=1):
            problems += [f"row {number}: unknown column {str(name)[:40]!r}" for name in row if name not in known]
            record: Record = {}
            for field in wanted:
                try:
                    record[field.name] = field.parse(row.get(field.name))
                except ValueError as error:
                    problems.append(f"row {number}: {field.name} {error}")
            records.append(record)
        if problems:
            raise ContractViolation(problems)
        return records


def load_contract(path: Path) -> Contract:
    """The contract in a YAML file.

    Raises:
        ConfigError: the file is missing, is no YAML, or does not fit the model.
    """
    try:
        return Contract.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"the data contract is wrong: {told(error)}", where=str(path), remedy="Correct the file.") from error


def read_csv(text: str) -> list[dict[str, object]]:
    """Rows of a CSV text with a header line.

    Raises:
        ContractViolation: no header, repeated columns, a row of another length, or a cell too long to be one.
    """
    try:
        header, *lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")))) or [[]]
    except csv.Error as error:
        raise ContractViolation([f"the CSV can't be read: {error}"]) from error
    if not header or len(set(header)) != len(header):
        raise ContractViolation(["the CSV needs a header line with distinct column names"])
    rows: list[dict[str, object]] = []
    for number, cells in enumerate(lines, start=1):
        if not cells:
            continue
        if len(cells) != len(header):
            raise ContractViolation([f"row {number}: {len(cells)} cells, the header has {len(header)}"])
        rows.append(dict(zip(header, cells, strict=True)))
    return rows


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A CSV text with a header line, `\\n` at line ends, and numbers in their shortest exact form: same rows, same bytes."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_text(row[column]) for column in columns])
    return stream.getvalue()


def _text(value: object) -> str:
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return str(value)
