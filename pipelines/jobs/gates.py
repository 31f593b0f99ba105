"""Gates: judge the candidate's evaluation, beside the champion's, by the workload's rules and the environment's thresholds.

in: candidate and champion (evaluation folders), standing (champion.json: what serves), environment, and
in admit `record` (candidate.json of the verified candidate)
out: gates/gates.json

The job succeeds whatever the verdict; the pipeline's condition reads `passed`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import boto3

from infra.errors import GateRefused, IntegrityError
from infra.outputs import EnvironmentOutputs
from pipelines.gates import Verdict, judge, parse_gates
from pipelines.jobs.place import environment_outputs, input_folder, output_folder, read_json, run_processing, write_json
from pipelines.promotion import refusals
from pipelines.promotion.refusals import Asked
from pipelines.promotion.seam import Aws


def main(arguments: Sequence[str] | None = None, session: Any = None) -> None:
    """Raise IntegrityError or ConfigError where there is nothing to judge, or nothing to judge by.

    In an admission a refusal goes into the ledger; where it can't be written the job fails, and so refuses as well.
    """
    parser = argparse.ArgumentParser()
    for name in ("promotion-id", "requested-by", "execution-arn"):
        parser.add_argument(f"--{name}", default="")
    options = parser.parse_args(arguments)
    outputs = environment_outputs()
    facts: dict[str, Any] = {}
    if not options.promotion_id:
        _say(_judge(outputs, facts))
        return
    aws = Aws(session or boto3.Session(region_name=outputs.region), table=outputs.promotion.journal_table_name)
    asked = Asked(promotion=options.promotion_id, execution=options.execution_arn, claimed=options.requested_by)
    with refusals.recorded(aws, outputs, asked, "Gates", facts):
        verdict = _judge(outputs, facts)
    _say(verdict)
    if not verdict.passed:
        refusals.write(aws, outputs, asked, "Gates", GateRefused(verdict.summary), facts)


def _judge(outputs: EnvironmentOutputs, facts: dict[str, Any]) -> Verdict:
    """The verdict, which is also written for the pipeline's condition; `facts` is filled with what it is about."""
    folder = input_folder("candidate")
    candidate = read_json(folder / "evaluation.json")
    champion = read_json(input_folder("champion") / "evaluation.json")
    standing = read_json(input_folder("standing") / "champion.json")
    record = input_folder("record") / "candidate.json"
    if record.is_file():
        verified = read_json(record)
        facts |= {key: verified.get(key) for key in ("source_model_package_arn", "image_digest", "data_sha256", "code_sha256")}
    facts |= {key: candidate.get(key) for key in ("artefact_sha256", "image", "golden_sha256", "metrics")}
    serves = {key: standing.get(key) for key in ("kind", "model_package_arn", "artefact_sha256")}
    facts["champion"] = {**serves, **{key: champion.get(key) for key in ("applicable", "metrics")}}
    if candidate.get("applicable") is not True or candidate.get("subject") != "candidate":
        raise IntegrityError("this is no evaluation of a candidate", where=str(folder / "evaluation.json"))
    if not (folder / "gates.yaml").is_file():
        raise IntegrityError("the workload has no gates", where=str(folder / "gates.yaml"))
    gates = parse_gates((folder / "gates.yaml").read_text(encoding="utf-8"), "gates.yaml")
    verdict = judge(gates, candidate.get("metrics", {}), champion_metrics(candidate, champion, standing), outputs.gates.thresholds)
    facts["gates"] = verdict.to_json()
    about = {key: candidate[key] for key in ("artefact_sha256", "image", "golden_sha256")}
    write_json(output_folder("gates") / "gates.json", {**verdict.to_json(), **about})
    return verdict


def champion_metrics(candidate: dict[str, Any], champion: dict[str, Any], standing: dict[str, Any]) -> dict[str, Any] | None:
    """The champion's metrics; None only where there is no champion, by what serves and by its evaluation.

    A champion judged on other golden data is no comparison: its metrics count as missing, which refuses.

    Args:
        candidate, champion: their evaluations, each written by the code of the judged model's own image.
        standing: what serves, as our own code read it from the endpoint.

    Raises:
        IntegrityError: another model was evaluated than the one that serves.
    """
    if standing.get("kind") == champion.get("kind") == "none" and champion.get("applicable") is False:
        return None
    if champion.get("applicable") is not True or champion.get("golden_sha256") != candidate.get("golden_sha256"):
        return {}
    for key in ("artefact_sha256", "image"):
        if champion.get(key) != standing.get(key):
            raise IntegrityError(
                f"the champion that was evaluated has {key} {champion.get(key)}, what serves has {standing.get(key)}",
                remedy="Somebody changed the champion's artefact. Put it back, then start again.",
            )
    found: dict[str, Any] = champion.get("metrics", {})
    return found


def _say(verdict: Verdict) -> None:
    print(f"{'passed' if verdict.passed else 'refused'}: {verdict.summary}")
    for result in verdict.results:
        print(f"  {result.status:<15} {result.text}")


if __name__ == "__main__":
    run_processing(main)
