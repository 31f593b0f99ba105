"""Train: the program `train` of a workload's image, under SageMaker's training contract.

channels: train, test (one CSV each) · hyperparameter `hyperparameters`: a JSON object for the workload · out: the model folder
"""

from __future__ import annotations

import json

from infra.errors import ConfigError
from pipelines.contract import Record, read_csv
from pipelines.jobs.place import base, only_file, read_json, run_training
from pipelines.workload import Workload, load_workload


def main() -> None:
    """Train the workload that LOCKSTEP_WORKLOAD names. Raises ConfigError for hyperparameters that are no JSON object."""
    workload = load_workload()
    given = read_json(base() / "input" / "config" / "hyperparameters.json").get("hyperparameters", "{}")
    try:
        hyperparameters = json.loads(given)
    except ValueError as error:
        raise ConfigError(f"the hyperparameters are no JSON: {error}", where="parameter Hyperparameters") from error
    if not isinstance(hyperparameters, dict):
        raise ConfigError("the hyperparameters are no JSON object", where="parameter Hyperparameters")
    model = workload.code.train(_read(workload, "train"), _read(workload, "test"), hyperparameters, workload.spec)
    folder = base() / "model"
    folder.mkdir(parents=True, exist_ok=True)
    workload.code.save(model, folder)


def _read(workload: Workload, channel: str) -> list[Record]:
    path = only_file(base() / "input" / "data" / channel, "*.csv")
    return workload.contract.parse(read_csv(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    run_training(main)
