"""Gates: rules over metrics, judged by pure functions that fail closed.

What is missing, not a number, not finite or not known never passes. A relative gate does not apply only while there is no
champion at all; a champion whose evaluation is missing refuses.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator, model_validator

from infra.errors import ConfigError
from pipelines.problems import told

# Every candidate answers for these, whatever its own gate file leaves out.
REQUIRED_METRICS = ("auc", "equal_opportunity_difference", "latency_p95_ms")
# Which way each metric is better. A bound on the other side would let the worst model through.
BETTER: Mapping[str, Literal["higher", "lower"]] = {
    "auc": "higher",
    "accuracy": "higher",
    "f1": "higher",
    "worst_slice_accuracy": "higher",
    "count": "higher",
    "brier": "lower",
    "ece": "lower",
    "equal_opportunity_difference": "lower",
    "latency_p95_ms": "lower",
}
KNOWN_METRICS = frozenset(BETTER)


class Gate(BaseModel):
    """One rule. `absolute`: the metric is at least `minimum`, or at most `maximum`. `relative`: it is not worse than the champion's
    by more than `margin`, where `direction` says which way is better. Both must be as BETTER has it for the metric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    metric: str
    kind: Literal["absolute", "relative"]
    minimum: float | None = None
    maximum: float | None = None
    margin: float | None = None
    direction: Literal["higher", "lower"] | None = None

    @field_validator("minimum", "maximum", "direction")
    @classmethod
    def _bounds_the_worse_side(cls, given: float | str | None, info: ValidationInfo) -> float | str | None:
        metric = str(info.data.get("metric"))
        better = BETTER.get(metric)  # a metric that is not known is refused by the judgement
        said = {"minimum": "higher", "maximum": "lower"}.get(str(info.field_name), given)
        if given is not None and better is not None and said != better:
            raise ValueError(f"{metric} is better the {better} it is, so this would let the worst through")
        return given

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Gate:
        numbers = [each for each in (self.minimum, self.maximum, self.margin) if each is not None]
        if not all(math.isfinite(each) for each in numbers):
            raise ValueError(f"gate {self.name}: a threshold must be finite")
        if self.kind == "absolute" and ((self.minimum is None) == (self.maximum is None) or self.margin is not None or self.direction):
            raise ValueError(f"gate {self.name}: an absolute gate has either minimum or maximum, and nothing else")
        bounded = self.minimum is not None or self.maximum is not None
        if self.kind == "relative" and (self.margin is None or self.direction is None or bounded):
            raise ValueError(f"gate {self.name}: a relative gate has margin and direction, and nothing else")
        if self.kind == "relative" and self.metric == "count":
            raise ValueError(f"gate {self.name}: candidate and champion are judged on the same rows, so their count compares nothing")
        return self

    def with_threshold(self, value: float) -> Gate:
        """The same gate with another threshold (minimum, maximum or margin, whichever it has)."""
        field = "margin" if self.kind == "relative" else "minimum" if self.minimum is not None else "maximum"
        return Gate.model_validate({**self.model_dump(), field: value})


class GateFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    gates: tuple[Gate, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> GateFile:
        names = [gate.name for gate in self.gates]
        if len(set(names)) != len(names):
            raise ValueError("two gates have the same name")
        return self


@dataclass(frozen=True)
class Result:
    """How one gate ended. `text` is for people: the metric, its limit, and by how much it missed."""

    name: str
    metric: str
    status: Literal["passed", "refused", "not applicable"]
    text: str


@dataclass(frozen=True)
class Verdict:
    passed: bool
    summary: str
    results: tuple[Result, ...]

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "summary": self.summary, "results": [asdict(result) for result in self.results]}


def parse_gates(text: str, where: str) -> GateFile:
    """The gates of a YAML text.

    Raises:
        ConfigError: it is no YAML, or does not fit the model; with the key path.
    """
    try:
        return GateFile.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"the gates are wrong: {told(error)}", where=where, remedy="Correct the file.") from error


def judge(
    gates: GateFile, candidate: Mapping[str, object], champion: Mapping[str, object] | None, overrides: Mapping[str, float] | None = None
) -> Verdict:
    """Judge a candidate.

    Args:
        candidate: its metrics by name.
        champion: metrics of what serves now; None only where there is no champion at all.
        overrides: thresholds of the environment, gate name -> number.
    """
    chosen = dict(overrides or {})
    results: list[Result] = []
    for gate in gates.gates:
        override = chosen.pop(gate.name, None)
        if override is not None and not math.isfinite(override):
            results.append(Result(gate.name, gate.metric, "refused", f"{gate.name}: the environment's threshold is not finite"))
            continue
        judged = gate if override is None else gate.with_threshold(override)
        results.append(_absolute(judged, candidate) if judged.kind == "absolute" else _relative(judged, candidate, champion))
    for name in chosen:
        results.append(Result(name, "", "refused", f"{name}: the environment sets a threshold for a gate that does not exist"))
    covered = {gate.metric for gate in gates.gates if gate.kind == "absolute"}
    for metric in REQUIRED_METRICS:
        if metric not in covered:
            text = f"{metric}: no absolute gate covers it, and every candidate must answer for it"
            results.append(Result(metric, metric, "refused", text))
    if not any(gate.kind == "relative" for gate in gates.gates):
        results.append(Result("relative", "", "refused", "no gate compares the candidate with the champion"))
    return _verdict(results)


def _verdict(results: list[Result]) -> Verdict:
    refused = [result.text for result in results if result.status == "refused"]
    counts = f"{sum(result.status == 'passed' for result in results)} passed"
    skipped = sum(result.status == "not applicable" for result in results)
    if skipped:
        counts += f" and {skipped} not applicable"
    passed = not refused and bool(results)
    return Verdict(passed=passed, summary=counts if passed else "; ".join(refused) or "there are no gates", results=tuple(results))


def _absolute(gate: Gate, candidate: Mapping[str, object]) -> Result:
    value, problem = _number(gate, candidate, "candidate")
    if value is None:
        return Result(gate.name, gate.metric, "refused", problem)
    if gate.minimum is not None:
        return _compare(gate, value, gate.minimum, higher=True, note="")
    assert gate.maximum is not None
    return _compare(gate, value, gate.maximum, higher=False, note="")


def _relative(gate: Gate, candidate: Mapping[str, object], champion: Mapping[str, object] | None) -> Result:
    value, problem = _number(gate, candidate, "candidate")
    if value is None:
        return Result(gate.name, gate.metric, "refused", problem)
    if champion is None:
        return Result(gate.name, gate.metric, "not applicable", f"{gate.name}: there is no champion yet")
    best, problem = _number(gate, champion, "champion")
    if best is None:
        return Result(gate.name, gate.metric, "refused", problem)
    assert gate.margin is not None
    higher = gate.direction == "higher"
    limit = best - gate.margin if higher else best + gate.margin
    return _compare(gate, value, limit, higher=higher, note=f" (champion {best:.4g}, margin {gate.margin:.4g})")


def _compare(gate: Gate, value: float, limit: float, *, higher: bool, note: str) -> Result:
    gap = limit - value if higher else value - limit
    if gap <= 0:
        sign = ">=" if higher else "<="
        return Result(gate.name, gate.metric, "passed", f"{gate.name}: {gate.metric} {value:.4g} {sign} {limit:.4g}{note}")
    sign = "<" if higher else ">"
    return Result(gate.name, gate.metric, "refused", f"{gate.name}: {gate.metric} {value:.4g} {sign} {limit:.4g} by {gap:.4g}{note}")


def _number(gate: Gate, metrics: Mapping[str, object], whose: str) -> tuple[float | None, str]:
    if gate.metric not in KNOWN_METRICS:
        near = difflib.get_close_matches(gate.metric, KNOWN_METRICS, n=1)
        return None, f"{gate.name}: {gate.metric} is no known metric" + (f"; did you mean {near[0]}?" if near else "")
    value = metrics.get(gate.metric)
    if value is None:
        return None, f"{gate.name}: the {whose} has no {gate.metric}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None, f"{gate.name}: {gate.metric} of the {whose} is not a finite number ({str(value)[:20]})"
    return float(value), ""
