"""Who asked for a promotion and who approved it, read from AWS when a release is about to begin."""

from __future__ import annotations

from typing import Any

from infra.errors import PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import approval
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.people import Identity
from pipelines.promotion.plan import Job
from pipelines.promotion.seam import Aws


def release(aws: Aws, outputs: EnvironmentOutputs, job: Job, candidate: Candidate, facts: dict[str, Any]) -> dict[str, Any]:
    """The people of a release, as evidence keeps them; empty for a package that nobody approved yet, which preflight refuses.

    Judged at the first sight of an approved package: whoever edits it later is not who approved it. For the same reason an approval that
    does not count is taken back: the next edit by anybody else would make it look like theirs.

    Args:
        facts: filled with what a refusal keeps.

    Raises:
        PreflightError: approval is manual, and AWS does not attest that another than the requester approved.
    """
    if candidate.approval != "Approved":
        return {}
    run = aws.execution(candidate.generated_by)
    # Of a release that an approval started, those who asked are the package's, and not EventBridge.
    changed = Identity.told(candidate.modified_by, "DescribeModelPackage LastModifiedBy")
    facts["requested_by"] = [each.document() for each in approval.requesters(candidate, run)]
    facts["last_modified_by"] = changed.document() if changed else None
    try:
        found = approval.people(outputs, candidate, run)
    except PreflightError as error:
        aws.void_approval(candidate.arn, f"void: {error.message}")
        raise
    return found.document(outputs.promotion.approval, job.requested_by)


def operation(aws: Aws, job: Job, run: str) -> dict[str, Any]:
    """The people of a redeploy, restore or rollback, which release what was approved before: whoever started the run of that name."""
    context = (aws.execution(run) or {}).get("CreatedBy")
    started = Identity.told(context, f"DescribePipelineExecution CreatedBy {run}")
    return approval.People(requesters=(started,) if started else (), approver=None).document("of the release before", job.requested_by)
