"""The admit pipeline's first step: `python -m pipelines.promotion.verify`.

Is the candidate what its package says, may this environment have it, can it be read, and could it be released as things are? Then
artefact and image are copied here, by digest, and the champion that it has to stand against is named. Nothing is copied before
everything is checked.

in: environment · out: candidate/candidate.json, champion/champion.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.errors import ConfigError, IntegrityError, PreflightError
from infra.outputs import EnvironmentOutputs, PromotionSource
from pipelines.jobs import champion
from pipelines.jobs.place import environment_outputs, output_folder, run_processing, write_json
from pipelines.promotion import images, preflight, refusals, resources
from pipelines.promotion.candidate import Candidate, ImageName, check_evaluation, check_gates, report_place, split_s3
from pipelines.promotion.evidence import check_released, evidence_key
from pipelines.promotion.journal import Journal
from pipelines.promotion.refusals import Asked
from pipelines.promotion.seam import Aws
from pipelines.workload import current_key

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the one who started the admission says: the package, its image there and here, and the golden data to judge it by."""

    source_model_package_arn: str
    source_image_uri: str
    image_uri: str
    golden_uri: str
    golden_sha256: str


def admit(session: boto3.Session, outputs: EnvironmentOutputs, claim: Claim, asked: Asked) -> tuple[dict[str, Any], dict[str, str]]:
    """Check, copy, and say what was copied: the records `candidate.json` and `champion.json`. A refusal goes into the ledger.

    Raises:
        PreflightError, IntegrityError, ConflictError: with all that is wrong; nothing was copied.
    """
    aws = Aws(session, table=outputs.promotion.journal_table_name)
    facts: dict[str, Any] = {"source_model_package_arn": claim.source_model_package_arn, "claim": vars(claim)}
    with refusals.recorded(aws, outputs, asked, "Verify", facts):
        record = _admitted(aws, outputs, claim, facts)
        target = {"candidate_image": claim.image_uri, "candidate_model_uri": record["model_uri"]}
        return record, champion.determine(session, outputs, **target)


def _admitted(aws: Aws, outputs: EnvironmentOutputs, claim: Claim, facts: dict[str, Any]) -> dict[str, Any]:
    source = outputs.promotion.source
    if source is None:
        raise ConfigError(
            "this environment admits candidates from nowhere",
            where=f"stack {outputs.environment}",
            remedy="Name its source in the stack file.",
        )
    candidate = _source_package(aws, source, claim)
    facts |= {key: value for key, value in refusals.about(candidate).items() if key.endswith(("sha256", "digest"))}
    sha256 = candidate.digest("artefact-sha256")
    source_image = candidate.image_name
    target_image = ImageName.parse(claim.image_uri, "--image-uri")
    _check_all(aws, outputs, source, candidate, claim, source_image, target_image)
    target_uri = _copy_artefact(aws, outputs, candidate, sha256)
    images.copy(aws, source_image, target_image, print)
    return {
        "model_uri": target_uri,
        "artefact_sha256": sha256,
        "image": claim.image_uri,
        "image_digest": target_image.digest,
        "source_model_package_arn": candidate.arn,
        "data_sha256": candidate.digest("data-sha256"),
        "code_sha256": candidate.value("code-sha256"),
        "golden_sha256": claim.golden_sha256,
        "metadata": candidate.metadata,
    }


def _source_package(aws: Aws, source: PromotionSource, claim: Claim) -> Candidate:
    arn = claim.source_model_package_arn
    group = source.model_package_group_arn.replace(":model-package-group/", ":model-package/") + "/"
    if not arn.startswith(group):
        raise PreflightError(
            f"the package is not of {source.environment}'s group {source.model_package_group_name}",
            where=arn,
            remedy=f"This environment admits packages of {source.environment} alone.",
        )
    described = _granted(lambda: aws.package(arn), f"model package of {source.environment}")
    if described is None:
        raise PreflightError(
            "there is no such model package", where=arn, remedy=f"`lockstep models {source.environment}` lists those there are."
        )
    candidate = Candidate.parse(described)
    if candidate.status != "Completed" or candidate.approval == "Rejected":
        raise PreflightError(
            f"the package is {candidate.status} and {candidate.approval}",
            where=arn,
            remedy="Promote one that is completed and not rejected.",
        )
    return candidate


def _granted(read: Callable[[], Any], what: str) -> Any:
    """A read across accounts; a refusal says which grant is missing."""
    try:
        return read()
    except ClientError as error:
        refused = preflight.refused(error)
        raise PreflightError(refused.message, where=what, remedy=refused.remedy) from error


def _check_all(
    aws: Aws,
    outputs: EnvironmentOutputs,
    source: PromotionSource,
    candidate: Candidate,
    claim: Claim,
    source_image: ImageName,
    target_image: ImageName,
) -> None:
    def image() -> None:
        found = _granted(lambda: images.verified(aws, source_image), f"ECR repository {source.workload_repository.name}")
        images.check_base(aws, source_image, json.loads(found["manifest"]), allow_host=outputs.promotion.allow_host_base)

    def artefact() -> None:
        bucket, key = split_s3(candidate.model_data_url, candidate.arn)
        _granted(
            lambda: preflight.check_object(aws, bucket, key, candidate.digest("artefact-sha256"), lambda: None), f"s3://{bucket}/{key}"
        )

    def judged(key: str, check: Callable[[bytes | None], Any]) -> Callable[[], None]:
        def read() -> None:
            place = report_place(candidate, key, source.artefacts_bucket.name)
            check(_granted(lambda: aws.read_object(*place), candidate.value(key)))

        return read

    def at_rest() -> None:
        lease_seconds = outputs.promotion.lease_seconds
        Journal(aws, endpoint=outputs.endpoint.name, lease_seconds=lease_seconds, run="admission").check_idle()
        preflight.check_endpoint(outputs, resources.look(aws, outputs))

    checks: list[Callable[[], Any]] = [
        lambda: preflight.check_account(aws, outputs),
        lambda: _check_names(source, outputs, candidate, claim, source_image, target_image),
        artefact,
        image,
        lambda: _check_golden(aws, outputs, claim),
        judged("gates-uri", lambda text: check_gates(text, candidate, candidate.value("gates-uri"))),
        judged("evaluation-uri", lambda text: check_evaluation(text, candidate, candidate.value("evaluation-uri"))),
        lambda: _check_evidence(aws, source, candidate),
        lambda: preflight.check_keys(aws, outputs),
        lambda: preflight.check_ledger(aws, outputs),
        # What would stop the release that follows is said here already, before anything is copied or registered.
        at_rest,
        lambda: resources.refuse_bad_alarms(aws, outputs),
    ]
    preflight.check_all(checks)


def _check_golden(aws: Aws, outputs: EnvironmentOutputs, claim: Claim) -> None:
    """What the candidate is judged by is this environment's choice, not that of the one who starts the admission."""
    bucket, key = outputs.buckets.data.name, current_key("golden", outputs.workload)
    body = aws.read_object(bucket, key)
    if body is None:
        raise PreflightError(
            f"{outputs.environment} has no golden set of {outputs.workload}",
            where=f"s3://{bucket}/{key}",
            remedy=f"Push it with `lockstep data push {outputs.environment} {outputs.workload}`.",
        )
    present = json.loads(body)
    if (claim.golden_uri, claim.golden_sha256) != (present["uri"], present["sha256"]):
        raise IntegrityError(
            f"the admission names {claim.golden_uri} with SHA-256 {claim.golden_sha256}; "
            f"the golden set of {outputs.environment} is {present['uri']} with {present['sha256']}",
            where="--golden-uri",
            remedy="Start the admission with `lockstep promote`, which names the present golden set.",
        )
    preflight.check_object(aws, *split_s3(claim.golden_uri, "--golden-uri"), claim.golden_sha256, lambda: None)


def _check_names(
    source: PromotionSource,
    outputs: EnvironmentOutputs,
    candidate: Candidate,
    claim: Claim,
    source_image: ImageName,
    target_image: ImageName,
) -> None:
    """The image must be the package's, come from the source's repository and go to this environment's, under one digest."""
    expected = {
        "--source-image-uri": (claim.source_image_uri, f"{source.workload_repository.uri}@{source_image.digest}"),
        "--image-uri": (claim.image_uri, f"{outputs.repositories.workload.uri}@{source_image.digest}"),
        "the package's image": (candidate.image, f"{source.workload_repository.uri}@{source_image.digest}"),
    }
    for where, (given, wanted) in expected.items():
        if given != wanted:
            raise IntegrityError(
                f"it is {given}, and should be {wanted}", where=where, remedy="Start the admission with `lockstep promote`."
            )
    bucket, _ = split_s3(candidate.model_data_url, candidate.arn)
    if bucket != source.artefacts_bucket.name:
        raise IntegrityError(
            f"the artefact lies outside {source.environment}'s bucket", where=candidate.model_data_url, remedy="Train it there again."
        )


def _check_evidence(aws: Aws, source: PromotionSource, candidate: Candidate) -> None:
    if not source.requires_released_evidence:
        return
    promotion = candidate.metadata.get("promotion-id", "")
    where = f"s3://{source.ledger_bucket.name}/{evidence_key(promotion or '(no promotion)')}"
    body = _granted(lambda: aws.read_object(source.ledger_bucket.name, evidence_key(promotion)), where) if promotion else None
    check_released(
        json.loads(body) if body else None,
        package=candidate.arn,
        artefact=candidate.digest("artefact-sha256"),
        image_digest=candidate.image_name.digest,
        where=where,
    )


def _copy_artefact(aws: Aws, outputs: EnvironmentOutputs, candidate: Candidate, sha256: str) -> str:
    """Copy the artefact to its content address here, hashing what is read on the way. What is there must be the same bytes."""
    bucket, key = outputs.buckets.artefacts.name, f"models/{sha256}/model.tar.gz"
    uri = f"s3://{bucket}/{key}"
    present = aws.object_sha256(bucket, key, lambda: None)
    if present is None:
        source_bucket, source_key = split_s3(candidate.model_data_url, candidate.arn)
        with tempfile.TemporaryFile() as scratch:
            digest = hashlib.sha256()
            for chunk in aws.client("s3").get_object(Bucket=source_bucket, Key=source_key)["Body"].iter_chunks(_CHUNK):
                digest.update(chunk)
                scratch.write(chunk)
            present = digest.hexdigest()
            if present == sha256:
                scratch.seek(0)
                encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": outputs.keys.artefacts}
                aws.client("s3").upload_fileobj(scratch, bucket, key, ExtraArgs=encryption)
                present = aws.object_sha256(bucket, key, lambda: None)
    if present != sha256:
        raise IntegrityError(
            f"its bytes have SHA-256 {present}, the package says {sha256}", where=uri, remedy="Somebody changed the artefact."
        )
    return uri


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    claim = ("source-model-package-arn", "source-image-uri", "image-uri", "golden-uri", "golden-sha256")
    for name in (*claim, "promotion-id", "requested-by", "execution-arn"):
        parser.add_argument(f"--{name}", required=True)
    options = vars(parser.parse_args(arguments))
    promotion, requested_by = options.pop("promotion_id"), options.pop("requested_by")
    asked = Asked(promotion=promotion, execution=options.pop("execution_arn"), claimed=requested_by)
    outputs = environment_outputs()
    record, standing = admit(boto3.Session(region_name=outputs.region), outputs, Claim(**options), asked)
    write_json(output_folder("candidate") / "candidate.json", {**record, "promotion_id": promotion, "requested_by": requested_by})
    write_json(output_folder("champion") / "champion.json", standing)
    print(f"verified {record['source_model_package_arn']}; it stands against {standing['kind']} {standing['model_package_arn']}")


if __name__ == "__main__":
    run_processing(main)
