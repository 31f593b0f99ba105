"""Refusals in the ledger: what was asked for and did not come in, why, and who asked. Object-locked, like all that the ledger holds.

refusals/<promotion id>/<step>-<digest>.json

The digest is over what was refused and why, not over the time: a step that runs again, and refuses for the same reason, finds its entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import LockstepError, OutcomeUnknown
from infra.outputs import EnvironmentOutputs
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.people import Identity
from pipelines.promotion.seam import Aws

PREFIX = "refusals/"
_DIGESTS = ("artefact-sha256", "image-digest", "data-sha256", "code-sha256", "golden-sha256")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asked for: the promotion's id, the ARN of the run that is at it, and who the run's parameter claims that it was."""

    promotion: str
    execution: str
    claimed: str


@contextmanager
def recorded(aws: Aws, outputs: EnvironmentOutputs, asked: Asked, step: str, facts: dict[str, Any]) -> Iterator[None]:
    """A refusal inside goes into the ledger before it goes on. `facts` may still be filled inside.

    Where the ledger can't be written, the refusal says so: it stays a refusal. An outcome that is unknown is none.
    """
    try:
        yield
    except OutcomeUnknown:
        raise
    except LockstepError as error:
        try:
            write(aws, outputs, asked, step, error, facts)
        except (ClientError, BotoCoreError) as failed:
            error.message += f" (and the ledger could not be written: {failed})"
            error.args = (error.message,)
        raise


def write(aws: Aws, outputs: EnvironmentOutputs, asked: Asked, step: str, error: LockstepError, facts: dict[str, Any]) -> str:
    """Write a refusal once; returns its key."""
    run = aws.execution(asked.execution) or {}
    started = Identity.told(run.get("CreatedBy"), f"DescribePipelineExecution CreatedBy {asked.execution}")
    aws.identity()  # an answer of AWS tells the time; there may have been none yet
    document = {
        "promotion": asked.promotion,
        "step": step,
        "refused": type(error).__name__,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
        "environment": outputs.environment,
        "account_id": outputs.account_id,
        "execution": asked.execution,
        "requested_by": [started.document()] if started else [],
        "requested_by_claimed": asked.claimed,
        **facts,
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
    key = f"{PREFIX}{asked.promotion}/{step.lower()}-{digest}.json"
    text = json.dumps({**document, "at": aws.now}, indent=2, sort_keys=True)
    aws.write_object_once(outputs.buckets.ledger.name, key, text.encode())
    return key


def newest(aws: Aws, bucket: str, count: int) -> list[dict[str, Any]]:
    """The latest refusals, newest first, each with its place as `evidence`."""
    found = []
    for key in aws.newest_keys(bucket, PREFIX, count):
        body = aws.read_object(bucket, key)
        if body is not None:
            found.append({**json.loads(body), "evidence": f"s3://{bucket}/{key}"})
    return found


def about(candidate: Candidate) -> dict[str, Any]:
    """What a refusal keeps of the package that was refused."""
    digests = {key.replace("-", "_"): candidate.metadata.get(key) for key in _DIGESTS}
    return {"model_package_arn": candidate.arn, "source_model_package_arn": candidate.metadata.get("source-model-package-arn"), **digests}
