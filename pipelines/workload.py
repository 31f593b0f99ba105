"""What a workload gives to the toolkit, and how the toolkit finds it.

A workload is a package `workloads.<name>`: `workload.yaml`, `contract.yaml`, `gates.yaml`, and three functions, `train`,
`save` and `load`. The toolkit knows no workload by name: inside an image LOCKSTEP_WORKLOAD says which one it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import ConfigError
from pipelines.contract import Contract, Record, load_contract
from pipelines.problems import told

VARIABLE = "LOCKSTEP_WORKLOAD"


class Spec(BaseModel):
    """`workload.yaml`.

    `positive` is the class of `target` whose probability the model gives; `favourable` the outcome that the people in the data
    want; `protected_group` the value of `protected` whose chances are compared with everybody else's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    target: str
    positive: str
    favourable: str
    protected: str
    protected_group: str
    identifier: str
    slices: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """`probability` is that of the positive class, 0..1; `label` the decision."""

    label: str
    probability: float


class Model(Protocol):
    """A trained model. Records hold the contract's input columns, already checked."""

    def predict(self, records: Sequence[Record]) -> list[Prediction]: ...


class Code(Protocol):
    """The functions of a workload's package."""

    def train(self, train: Sequence[Record], test: Sequence[Record], hyperparameters: Mapping[str, object], spec: Spec) -> Model:
        """A model from the training rows; the test rows are for early looks and are not the golden data."""

    def save(self, model: Model, folder: Path) -> None:
        """Write the model into an empty folder."""

    def load(self, folder: Path) -> Model:
        """The model that `save` wrote."""


@dataclass(frozen=True)
class Workload:
    """All of a workload: its description, contract, folder and code, which is loaded when it is asked for: it may take seconds."""

    spec: Spec
    contract: Contract
    folder: Path
    package: str

    @cached_property
    def code(self) -> Code:
        return cast(Code, importlib.import_module(self.package))


def load_workload(name: str | None = None) -> Workload:
    """The workload `name`, or the one that LOCKSTEP_WORKLOAD names.

    Raises:
        ConfigError: none is named, there is no such package, or one of its files is wrong.
    """
    chosen = name or os.environ.get(VARIABLE, "")
    if not chosen:
        raise ConfigError(f"no workload is named: {VARIABLE} is not set")
    package = f"workloads.{chosen}"
    try:
        found = importlib.util.find_spec(package)
    except (ModuleNotFoundError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise ConfigError(f"there is no workload {chosen!r}", where=f"workloads/{chosen}", remedy="Name a package under workloads/.")
    folder = Path(found.origin).parent
    return Workload(spec=load_spec(folder), contract=load_contract(folder / "contract.yaml"), folder=folder, package=package)


def current_key(kind: str, workload: str) -> str:
    """Where an environment's data bucket names its present data of a kind (`datasets` or `golden`): JSON with `uri`, `sha256`, `rows`."""
    return f"{kind}/{workload}/current.json"


def load_spec(folder: Path) -> Spec:
    """`workload.yaml` of a workload's folder. Raises ConfigError if it is missing or wrong."""
    path = folder / "workload.yaml"
    try:
        return Spec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"the workload's description is wrong: {told(error)}", where=str(path), remedy="Correct the file.") from error
