"""Validate: is the data the version that it is said to be, does it keep the contract, is it like the data accepted before?

in: data (one CSV), environment · out: report/validation.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import boto3

from infra.errors import GateRefused, IntegrityError
from pipelines import baseline, statistics
from pipelines.contract import ContractViolation, read_csv
from pipelines.jobs.place import environment_outputs, input_folder, only_file, output_folder, run_processing, sha256, write_json
from pipelines.registry import split_uri
from pipelines.workload import load_workload


def main(arguments: Sequence[str] | None = None, s3: Any = None) -> None:
    """Raise IntegrityError for other bytes than the version's, GateRefused for data that must not be trained on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-version", required=True)
    parser.add_argument("--baseline-uri", required=True)
    parser.add_argument("--baseline-version", required=True)
    options = parser.parse_args(arguments)

    workload = load_workload()
    accepted = baseline.read(s3 or boto3.client("s3", region_name=environment_outputs().region), *split_uri(options.baseline_uri))
    if baseline.version(accepted) != options.baseline_version:
        raise IntegrityError(
            f"the accepted baseline is {baseline.version(accepted)}, the run was started against {options.baseline_version}",
            where=options.baseline_uri,
            remedy="Another candidate was registered meanwhile. Start the training again.",
        )
    path = only_file(input_folder("data"), "*.csv")
    digest = sha256(path)
    if digest != options.data_version:
        raise IntegrityError(f"the data has digest {digest}, its version says {options.data_version}", where=path.name)
    try:
        records = workload.contract.parse(read_csv(path.read_text(encoding="utf-8")))
    except ContractViolation as error:
        raise GateRefused(
            f"data validity: {error}", where=path.name, remedy="Correct the data, or the contract if the data is right."
        ) from error
    described = statistics.describe(workload.contract, records)
    found = statistics.problems(workload.contract, records, described, accepted["statistics"] if accepted else None)
    report = {
        "workload": workload.spec.name,
        "data_version": digest,
        "statistics": described,
        "compared_with": accepted["data_version"] if accepted else None,
        "baseline_version": options.baseline_version,
        "problems": found,
    }
    write_json(output_folder("report") / "validation.json", report)
    if found:
        raise GateRefused(f"data validity: {'; '.join(found)}", where=path.name)
    print(f"{len(records)} rows keep the contract; compared with {report['compared_with'] or 'nothing: there is no baseline yet'}")


if __name__ == "__main__":
    run_processing(main)
