"""Gates: judge the candidate's evaluation, beside the champion's, by the workload's rules and the environment's thresholds.

in: candidate and champion (evaluation folders), environment · out: gates/gates.json

The job succeeds whatever the verdict; the pipeline's condition reads `passed`.
"""

from __future__ import annotations

from typing import Any

from infra.errors import IntegrityError
from pipelines.gates import Verdict, judge, parse_gates
from pipelines.jobs.place import environment_outputs, input_folder, output_folder, read_json, run_processing, write_json


def main() -> None:
    """Raise IntegrityError or ConfigError where there is nothing to judge, or nothing to judge by."""
    folder = input_folder("candidate")
    candidate = read_json(folder / "evaluation.json")
    champion = read_json(input_folder("champion") / "evaluation.json")
    if candidate.get("applicable") is not True or candidate.get("subject") != "candidate":
        raise IntegrityError("this is no evaluation of a candidate", where=str(folder / "evaluation.json"))
    if not (folder / "gates.yaml").is_file():
        raise IntegrityError("the workload has no gates", where=str(folder / "gates.yaml"))
    gates = parse_gates((folder / "gates.yaml").read_text(encoding="utf-8"), "gates.yaml")
    verdict = judge(gates, candidate.get("metrics", {}), champion_metrics(candidate, champion), environment_outputs().gates.thresholds)
    write_json(
        output_folder("gates") / "gates.json",
        {
            **verdict.to_json(),
            "artefact_sha256": candidate["artefact_sha256"],
            "image": candidate["image"],
            "golden_sha256": candidate["golden_sha256"],
        },
    )
    _say(verdict)


def champion_metrics(candidate: dict[str, Any], champion: dict[str, Any]) -> dict[str, Any] | None:
    """The champion's metrics; None only where its evaluation says that there is no champion.

    A champion judged on other golden data is no comparison: its metrics count as missing, which refuses.
    """
    if champion.get("applicable") is False and champion.get("kind") == "none":
        return None
    if champion.get("applicable") is not True or champion.get("golden_sha256") != candidate.get("golden_sha256"):
        return {}
    found: dict[str, Any] = champion.get("metrics", {})
    return found


def _say(verdict: Verdict) -> None:
    print(f"{'passed' if verdict.passed else 'refused'}: {verdict.summary}")
    for result in verdict.results:
        print(f"  {result.status:<15} {result.text}")


if __name__ == "__main__":
    run_processing(main)
