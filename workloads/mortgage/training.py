"""Training: logistic regression, rows reweighed and the decision threshold chosen so that qualified applicants fare alike.

Reweighing (Kamiran and Calders, 2012) gives each combination of group and outcome the weight that it would have if both were
independent. The threshold is the one with the best F1 score among those whose equal-opportunity difference, out of fold on
the training rows, stays within `fairness_target`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from pipelines.contract import Record
from pipelines.workload import Model, Prediction, Spec
from workloads.mortgage import features

MODEL_FILE = "model.joblib"
THRESHOLDS = [round(0.10 + 0.01 * step, 2) for step in range(51)]


class Hyperparameters(BaseModel):
    """`mitigation: none` trains a plain model: no weights, and the threshold with the best F1 score whatever its fairness."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regularisation: float = 1.0
    mitigation: str = "reweigh"
    fairness_target: float = 0.04
    folds: int = 5
    seed: int = 20


@dataclass(frozen=True)
class MortgageModel:
    """A fitted scikit-learn pipeline, the threshold of its decision, and the names of both classes."""

    pipeline: Any
    threshold: float
    positive: str
    negative: str

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        probabilities = self.pipeline.predict_proba(features.matrix(records))[:, 1]
        return [Prediction(self.positive if each >= self.threshold else self.negative, float(each)) for each in probabilities]


def train(train: Sequence[Record], test: Sequence[Record], hyperparameters: Mapping[str, object], spec: Spec) -> MortgageModel:
    """Fit on `train`; `test` only serves the log. Raises pydantic's ValidationError for hyperparameters it does not know."""
    settings = Hyperparameters.model_validate(dict(hyperparameters))
    rows = features.matrix(train)
    outcome = np.array([record[spec.target] == spec.positive for record in train])
    group = np.array([record[spec.protected] == spec.protected_group for record in train])
    fair = settings.mitigation == "reweigh"
    weights = _weights(outcome, group) if fair else np.ones(len(train))
    threshold = _threshold(_out_of_fold(rows, outcome, weights, settings), outcome, group, settings.fairness_target if fair else 1.0)
    fitted = _pipeline(settings).fit(rows, outcome, classify__sample_weight=weights)
    negative = next(str(record[spec.target]) for record in train if record[spec.target] != spec.positive)
    model = MortgageModel(pipeline=fitted, threshold=threshold, positive=spec.positive, negative=negative)
    hits = sum(each.label == record[spec.target] for each, record in zip(model.predict(test), test, strict=True))
    print(f"threshold {threshold:.2f}, test accuracy {hits / len(test):.3f} on {len(test)} rows")
    return model


def save(model: Model, folder: Path) -> None:
    joblib.dump(model, folder / MODEL_FILE)


def load(folder: Path) -> MortgageModel:
    model = joblib.load(folder / MODEL_FILE)
    assert isinstance(model, MortgageModel)
    return model


def _pipeline(settings: Hyperparameters) -> Pipeline:
    classifier = LogisticRegression(C=settings.regularisation, max_iter=2000)
    return Pipeline([("encode", features.encoder()), ("classify", classifier)])


def _weights(outcome: Any, group: Any) -> Any:
    weights = np.ones(len(outcome))
    for member in (True, False):
        for positive in (True, False):
            cell = (group == member) & (outcome == positive)
            if cell.any():
                weights[cell] = (group == member).mean() * (outcome == positive).mean() / cell.mean()
    return weights


def _out_of_fold(rows: Any, outcome: Any, weights: Any, settings: Hyperparameters) -> Any:
    probabilities = np.zeros(len(outcome))
    folds = StratifiedKFold(n_splits=settings.folds, shuffle=True, random_state=settings.seed)
    for inside, outside in folds.split(rows, outcome):
        fitted = _pipeline(settings).fit(rows[inside], outcome[inside], classify__sample_weight=weights[inside])
        probabilities[outside] = fitted.predict_proba(rows[outside])[:, 1]
    return probabilities


def _threshold(probabilities: Any, outcome: Any, group: Any, fairness_target: float) -> float:
    def f1(threshold: float) -> float:
        said = probabilities >= threshold
        return float(2 * (said & outcome).sum() / max(1, said.sum() + outcome.sum()))

    def difference(threshold: float) -> float:
        spared = probabilities < threshold
        qualified = ~outcome
        return float(abs(spared[qualified & group].mean() - spared[qualified & ~group].mean()))

    fair = [each for each in THRESHOLDS if difference(each) <= fairness_target] or [min(THRESHOLDS, key=difference)]
    return max(fair, key=f1)
