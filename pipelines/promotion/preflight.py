"""All that must hold before anything changes. Every check reads; the first report names every one that failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import ConflictError, IntegrityError, LockstepError, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import approval, images, render
from pipelines.promotion.candidate import Candidate, check_evaluation, check_gates, report_place, split_s3
from pipelines.promotion.decisions import IN_PROGRESS, EndpointView
from pipelines.promotion.seam import Aws, code, passing, text

_PROBES_CHARACTERS = 128 * 1024
"""What the golden requests may take of the journal's entry, for which DynamoDB allows 400 KB in all."""


@dataclass(frozen=True, kw_only=True)
class Cleared:
    """What preflight learnt and the release goes on with. `judged` holds both reports, `gates` and `evaluation`, and the SHA-256 of their
    bytes, `gates_sha256` and `evaluation_sha256`."""

    judged: dict[str, Any]
    probes: tuple[dict[str, str], ...]


def run(aws: Aws, outputs: EnvironmentOutputs, candidate: Candidate, view: EndpointView, heartbeat: Callable[[], None]) -> Cleared:
    """Check everything.

    Raises:
        PreflightError, IntegrityError, ConflictError: with all that is wrong; the class is the first failure's.
    """
    found: dict[str, Any] = {}

    def keep(name: str, find: Callable[[], Any]) -> Callable[[], None]:
        def check() -> None:
            found[name] = find()

        return check

    digests: dict[str, str] = {}

    def read(key: str) -> bytes | None:
        body = aws.read_object(*report_place(candidate, key, outputs.buckets.artefacts.name))
        digests[key.replace("-uri", "_sha256")] = hashlib.sha256(body or b"").hexdigest()
        return body

    checks: list[Callable[[], None]] = [
        lambda: check_account(aws, outputs),
        lambda: check_endpoint(outputs, view),
        lambda: render.check_rollout(
            outputs.rollout, instance_count=view.desired_count or outputs.serving.instance_count, where=f"rollout of {outputs.environment}"
        ),
        lambda: check_package(outputs, candidate),
        lambda: check_artefact(aws, outputs, candidate, heartbeat),
        lambda: check_image(aws, outputs, candidate),
        lambda: check_keys(aws, outputs),
        lambda: check_ledger(aws, outputs),
        keep("gates", lambda: check_gates(read("gates-uri"), candidate, candidate.value("gates-uri"))),
        keep("evaluation", lambda: check_evaluation(read("evaluation-uri"), candidate, candidate.value("evaluation-uri"))),
        keep("probes", lambda: probes(aws, outputs, candidate)),
    ]
    check_all(checks, heartbeat)
    judged = {"gates": found["gates"], "evaluation": found["evaluation"], **digests}
    return Cleared(judged=judged, probes=found["probes"])


def check_all(checks: Sequence[Callable[[], Any]], heartbeat: Callable[[], None] = lambda: None) -> None:
    """Run every check, also after one failed, so that a person learns of all that is wrong at once. `heartbeat` follows each.

    Raises:
        LockstepError: with all that is wrong; the class is the first failure's.
        ClientError: a call was throttled or met a fault of the service, which says nothing about what it asked.
    """
    failures: list[LockstepError] = []
    for check in checks:
        try:
            check()
        except LockstepError as error:
            failures.append(error)
        except ClientError as error:
            if passing(error):
                raise
            failures.append(refused(error))
        heartbeat()
    if failures:
        raise combined(failures)


def refused(error: ClientError) -> PreflightError:
    """A call that AWS refused, as a condition that does not hold."""
    return PreflightError(
        f"{error.operation_name} was refused: {code(error)}: {text(error)}",
        where="preflight",
        remedy="Grant it (policy of the role, of the resource and of its key) by `pulumi up` of the environment that owns it.",
    )


def combined(failures: list[LockstepError]) -> LockstepError:
    """One error that says them all."""
    first, *others = failures
    if not others:
        return first
    also = "; ".join(f"{error.where}: {error.message}" if error.where else error.message for error in others)
    return type(first)(f"{first.message}. Also: {also}", where=first.where, remedy=first.remedy)


def check_account(aws: Aws, outputs: EnvironmentOutputs) -> None:
    account = aws.identity()["Account"]
    if account != outputs.account_id:
        raise PreflightError(
            f"the caller belongs to account {account}, the environment to {outputs.account_id}",
            where=outputs.environment,
            remedy="Use credentials of the environment's own account.",
        )


def check_endpoint(outputs: EnvironmentOutputs, view: EndpointView) -> None:
    where = f"endpoint {outputs.endpoint.name}"
    if view.status in IN_PROGRESS or view.pending_config:
        raise ConflictError(
            f"it is {view.status}: somebody else is changing it (to {view.pending_config or 'other counts or weights'})",
            where=where,
            remedy="Wait until it is InService.",
        )
    if view.status != "InService":
        raise PreflightError(
            f"it is {view.status}", where=where, remedy="Look at its FailureReason; `pulumi up --refresh` recreates a deleted endpoint."
        )


def check_package(outputs: EnvironmentOutputs, candidate: Candidate) -> None:
    where = candidate.arn
    group = outputs.model_package_group_arn.replace(":model-package-group/", ":model-package/") + "/"
    if not candidate.arn.startswith(group):
        raise PreflightError(
            f"it does not belong to the group {outputs.model_package_group_name}",
            where=where,
            remedy="Release packages of this environment's own group.",
        )
    if candidate.status != "Completed":
        raise PreflightError(f"the package is {candidate.status}, not Completed", where=where, remedy="Register it again.")
    if candidate.approval != "Approved":
        raise PreflightError(f"the package is {candidate.approval}, not Approved", where=where, remedy="Approve it: `lockstep approve`.")
    approval.check_registered(outputs, candidate)


def check_artefact(aws: Aws, outputs: EnvironmentOutputs, candidate: Candidate, heartbeat: Callable[[], None]) -> None:
    bucket, key = split_s3(candidate.model_data_url, candidate.arn)
    if bucket != outputs.buckets.artefacts.name:
        raise IntegrityError(
            "the artefact lies outside this environment's bucket",
            where=candidate.model_data_url,
            remedy="Admit the package, which copies it.",
        )
    check_object(aws, bucket, key, candidate.digest("artefact-sha256"), heartbeat)


def check_object(aws: Aws, bucket: str, key: str, expected: str, heartbeat: Callable[[], None]) -> None:
    """Read an object's bytes again and compare their digest."""
    actual = aws.object_sha256(bucket, key, heartbeat)
    where = f"s3://{bucket}/{key}"
    if actual is None:
        raise IntegrityError("there is no such object", where=where, remedy="Train or admit the candidate again.")
    if actual != expected:
        raise IntegrityError(
            f"its bytes have SHA-256 {actual}, the package says {expected}",
            where=where,
            remedy="Somebody changed the artefact. Train again.",
        )


def check_image(aws: Aws, outputs: EnvironmentOutputs, candidate: Candidate) -> None:
    image = candidate.image_name
    if image.account != outputs.account_id:
        raise IntegrityError(
            "the image lies outside this account's registry", where=candidate.image, remedy="Admit the package, which copies it."
        )
    manifest = json.loads(images.verified(aws, image)["manifest"])
    images.check_base(aws, image, manifest, allow_host=outputs.promotion.allow_host_base)


def check_keys(aws: Aws, outputs: EnvironmentOutputs) -> None:
    keys = {outputs.keys.artefacts, outputs.keys.ledger, outputs.serving.data_capture.kms_key_arn, outputs.serving.volume_kms_key_arn}
    for arn in sorted(key for key in keys if key):
        state = aws.key_state(arn)
        if state != "Enabled":
            raise PreflightError(
                f"the key is {state or 'not there'}, not Enabled",
                where=arn,
                remedy="Enable it, or cancel its deletion, before anything is encrypted by it.",
            )


def check_ledger(aws: Aws, outputs: EnvironmentOutputs) -> None:
    if not aws.has_object_lock(outputs.buckets.ledger.name):
        raise PreflightError(
            "the bucket has no object lock, so evidence could be changed",
            where=f"s3://{outputs.buckets.ledger.name}",
            remedy="Run `pulumi up --refresh`.",
        )


def probes(aws: Aws, outputs: EnvironmentOutputs, candidate: Candidate) -> tuple[dict[str, str], ...]:
    """Golden requests with the answers that this very artefact gave when it was evaluated; the first, as far as the journal has room."""
    bucket, key = report_place(candidate, "evaluation-uri", outputs.buckets.artefacts.name)
    key = key.rpartition("/")[0] + "/probes.json"
    body, uri = aws.read_object(bucket, key), f"s3://{bucket}/{key}"
    requests = json.loads(body).get("requests", []) if body else []
    if not requests:
        raise IntegrityError("there are no golden requests to probe the new fleet with", where=uri, remedy="Evaluate the candidate again.")
    kept: list[dict[str, str]] = []
    room = _PROBES_CHARACTERS
    for request in requests:
        probe = {key: str(request[key]) for key in ("content_type", "body", "answer")}
        room -= len(json.dumps(probe))
        if room < 0:
            break
        kept.append(probe)
    if not kept:
        raise PreflightError(
            f"the first golden request and its answer take more than {_PROBES_CHARACTERS} characters",
            where=uri,
            remedy="Probe with smaller requests: put smaller records first in the golden data, then evaluate the candidate again.",
        )
    return tuple(kept)
