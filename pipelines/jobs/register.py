"""Register: bring the judged artefact to its content address and make a model package of it.

in: gates, candidate (evaluation folder), environment, and in admit `record` (candidate.json of the verified candidate)
out: package/package.json

Only what was judged is registered: the bytes in S3 are hashed again and must be those that the evaluation and the gates name.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.errors import GateRefused, IntegrityError
from infra.outputs import EnvironmentOutputs
from pipelines import baseline, registry
from pipelines.jobs.place import environment_outputs, input_folder, leave_message, output_folder, read_json, run_processing, write_json
from pipelines.promotion import refusals
from pipelines.promotion.refusals import Asked
from pipelines.promotion.seam import Aws
from pipelines.registry import Approval, CandidateRecord


def main(arguments: Sequence[str] | None = None, session: Any = None) -> None:
    """Raise GateRefused without a passed verdict, IntegrityError if anything names other bytes than those judged."""
    options = _options(arguments)
    outputs = environment_outputs()
    used = session or boto3.Session(region_name=outputs.region)
    if not options.promotion_id:
        _register(options, outputs, used)
        return
    aws = Aws(used, table=outputs.promotion.journal_table_name)
    asked = Asked(promotion=options.promotion_id, execution=options.execution_arn, claimed=options.requested_by)
    facts = {key: value for key, value in _verified().items() if key != "metadata"}
    with refusals.recorded(aws, outputs, asked, "Register", facts):
        _register(options, outputs, used)


def _register(options: argparse.Namespace, outputs: EnvironmentOutputs, used: Any) -> None:
    s3 = used.client("s3")
    record = _record(options, outputs)
    report_uri = f"{options.report_uri}/validation.json" if options.report_uri else ""
    accepted = _check_baseline(s3, report_uri, record, outputs) if report_uri else ""
    _place_artefact(s3, options.model_uri or _verified()["model_uri"], record, outputs)
    approval: Approval = "Approved" if outputs.promotion.approval == "automatic" else "PendingManualApproval"
    token = registry.client_token(options.execution_arn, record.artefact_sha256, record.image_digest, record.promotion_id)
    arn = registry.register(used.client("sagemaker"), outputs.model_package_group_name, record, approval, token)
    if report_uri and accepted != baseline.version(_report(s3, report_uri)):
        _accept_baseline(s3, report_uri, record, outputs)
    write_json(output_folder("package") / "package.json", {"model_package_arn": arn, "approval": approval, "metadata": record.metadata()})
    leave_message(arn)
    print(f"registered {arn} ({approval})")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("evaluation-uri", "gates-uri", "image", "requested-by", "execution-arn", "golden-sha256"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("model-uri", "data-version", "report-uri", "promotion-id"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args(arguments)


def _verified() -> dict[str, Any]:
    """The verified candidate's record; empty in training, where there is none."""
    path = input_folder("record") / "candidate.json"
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def _record(options: argparse.Namespace, outputs: EnvironmentOutputs) -> CandidateRecord:
    gates = read_json(input_folder("gates") / "gates.json")
    evaluation = read_json(input_folder("candidate") / "evaluation.json")
    verified = _verified()
    if gates.get("passed") is not True:
        raise GateRefused(f"the gates did not pass: {gates.get('summary', 'no summary')}")
    same = ("artefact_sha256", "image", "golden_sha256")
    if any(gates.get(name) != evaluation.get(name) for name in same):
        raise IntegrityError("the verdict is about another candidate than the evaluation")
    data_sha256 = options.data_version or str(verified.get("data_sha256", ""))
    if not data_sha256:
        raise IntegrityError("nothing says which data the candidate was trained on", remedy="Start the run with the data's version.")
    sha256 = str(evaluation["artefact_sha256"])
    _expect("artefact", sha256, verified.get("artefact_sha256"))
    _expect("image", str(evaluation["image"]), options.image)
    _expect("golden data", str(evaluation["golden_sha256"]), options.golden_sha256)
    _expect("code", str(evaluation["code_sha256"]), verified.get("code_sha256"))
    return CandidateRecord(
        workload=outputs.workload,
        image=options.image,
        image_digest=registry.image_digest(options.image),
        model_uri=registry.model_uri(outputs.buckets.artefacts.name, sha256),
        artefact_sha256=sha256,
        data_sha256=data_sha256,
        code_sha256=str(evaluation["code_sha256"]),
        golden_sha256=str(evaluation["golden_sha256"]),
        gates=str(gates["summary"]),
        gates_uri=f"{options.gates_uri}/gates.json",
        evaluation_uri=f"{options.evaluation_uri}/evaluation.json",
        requested_by=options.requested_by,
        promotion_id=options.promotion_id,
        source_model_package_arn=str(verified.get("source_model_package_arn", "")),
        generated_by=options.execution_arn,
    )


def _expect(what: str, found: str, wanted: str | None) -> None:
    if wanted is not None and found != wanted:
        raise IntegrityError(f"the {what} that was judged is {found}, not {wanted}")


def _place_artefact(s3: Any, source_uri: str, record: CandidateRecord, outputs: EnvironmentOutputs) -> None:
    bucket, key = registry.split_uri(source_uri)
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    digest = hashlib.sha256(body).hexdigest()
    if digest != record.artefact_sha256:
        raise IntegrityError(f"the artefact's bytes have digest {digest}, judged was {record.artefact_sha256}", where=source_uri)
    target_bucket, target_key = registry.split_uri(record.model_uri)
    if (bucket, key) == (target_bucket, target_key):
        return
    try:
        s3.put_object(
            Bucket=target_bucket,
            Key=target_key,
            Body=body,
            IfNoneMatch="*",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=outputs.keys.artefacts,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise
        # It is there already; content addressed, so it must be these bytes.
        there = hashlib.sha256(s3.get_object(Bucket=target_bucket, Key=target_key)["Body"].read()).hexdigest()
        if there != digest:
            raise IntegrityError(f"the object at this content address has digest {there}", where=record.model_uri) from error


def _check_baseline(s3: Any, report_uri: str, record: CandidateRecord, outputs: EnvironmentOutputs) -> str:
    """The accepted baseline's version. The data must have been compared with that, or be the very data that it describes.

    Whoever starts a run names the baseline, and an old one finds an old verdict in the cache.
    """
    report = _report(s3, report_uri)
    if report["data_version"] != record.data_sha256:
        raise IntegrityError(f"the data that was validated is {report['data_version']}, not {record.data_sha256}", where=report_uri)
    accepted = baseline.read(s3, outputs.buckets.artefacts.name, baseline.key(record.workload))
    version = baseline.version(accepted)
    if report.get("baseline_version") != version and not (accepted and accepted["data_version"] == report["data_version"]):
        raise IntegrityError(
            f"the data was compared with baseline {report.get('baseline_version')}, accepted is {version}",
            where=report_uri,
            remedy="Another candidate was registered meanwhile. Start the training again.",
        )
    return version


def _report(s3: Any, uri: str) -> dict[str, Any]:
    found = baseline.read(s3, *registry.split_uri(uri))
    if found is None:
        raise IntegrityError("the report of the data's validation is missing", where=uri)
    return found


def _accept_baseline(s3: Any, report_uri: str, record: CandidateRecord, outputs: EnvironmentOutputs) -> None:
    bucket, key = registry.split_uri(report_uri)
    s3.copy_object(
        Bucket=outputs.buckets.artefacts.name,
        Key=baseline.key(record.workload),
        CopySource={"Bucket": bucket, "Key": key},
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=outputs.keys.artefacts,
    )


if __name__ == "__main__":
    run_processing(main)
