"""Prepare: split the data into training and test rows, after making sure that no golden row is among them.

in: data, golden (one CSV each) · out: train/train.csv, test/test.csv

The digests of both are arguments: a step's cache knows an input by its URI, and overwritten data must not find the rows of the old.
A row's side depends on its identifier alone, so that it stays there when rows are added.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence

from infra.errors import IntegrityError
from pipelines.contract import Record, read_csv, write_csv
from pipelines.jobs.place import expect_sha256, input_folder, only_file, output_folder, run_processing
from pipelines.workload import Workload, load_workload

TEST_PERCENT = 20
GOLDEN_PERCENT = 30


def bucket(workload: str, purpose: str, identifier: object) -> int:
    """0..99, the same for the same row for ever."""
    number = int(identifier) if isinstance(identifier, float) and identifier.is_integer() else identifier
    return int.from_bytes(hashlib.sha256(f"{workload}:{purpose}:{number}".encode()).digest()[:8]) % 100


def is_golden(workload: str, identifier: object) -> bool:
    """Does the row with this identifier belong to the golden set, and so never to the training data?"""
    return bucket(workload, "golden", identifier) < GOLDEN_PERCENT


def main(arguments: Sequence[str] | None = None) -> None:
    """Raise IntegrityError for other bytes than the digests name, and if training data and golden data share a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-version", required=True)
    parser.add_argument("--golden-sha256", required=True)
    options = parser.parse_args(arguments)
    workload = load_workload()
    records = _read(workload, "data", options.data_version)
    key = workload.spec.identifier
    shared = {record[key] for record in records} & {record[key] for record in _read(workload, "golden", options.golden_sha256)}
    if shared:
        raise IntegrityError(f"{len(shared)} rows are in the training data and in the golden set, {key} {min(shared)} for one")
    test = [record for record in records if bucket(workload.spec.name, "test", record[key]) < TEST_PERCENT]
    train = [record for record in records if bucket(workload.spec.name, "test", record[key]) >= TEST_PERCENT]
    columns = [field.name for field in workload.contract.fields]
    for name, rows in (("train", train), ("test", test)):
        (output_folder(name) / f"{name}.csv").write_text(write_csv(columns, rows), encoding="utf-8")
    print(f"{len(train)} training rows, {len(test)} test rows")


def _read(workload: Workload, name: str, digest: str) -> list[Record]:
    path = only_file(input_folder(name), "*.csv")
    expect_sha256(f"{name} file", path, digest)
    return workload.contract.parse(read_csv(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    run_processing(main)
