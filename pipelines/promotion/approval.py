"""Who asked for a package and who let it in, by what AWS attests; and whether that is enough.

Metadata that anybody with UpdateModelPackage may write proves nothing. What does: `CreatedBy` and `LastModifiedBy` of the package,
`CreatedBy` of the run that registered it, and two signatures: metadata whose value is the `aws:userid` of whoever wrote it, because the
group's policy lets nobody write another's (infra.grants). ADR 10 says what each is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.people import Identity

APPROVED = "approval-signed-by"
REQUESTED = "request-signed-by"

_AGAIN = "The approval is void. Promote the package again, and let somebody else approve it with `lockstep approve`."


@dataclass(frozen=True, kw_only=True)
class People:
    """Whoever asked (none where AWS names nobody), and whoever approved (None where the environment does)."""

    requesters: tuple[Identity, ...]
    approver: Identity | None

    def document(self, policy: str, claimed: str) -> dict[str, Any]:
        """As evidence keeps it. `claimed` is what the pipeline's parameter says, which binds nobody."""
        return {
            "approval": policy,
            "requested_by": [identity.document() for identity in self.requesters],
            "requested_by_claimed": claimed,
            "approved_by": self.approver.document() if self.approver else None,
        }


def requesters(candidate: Candidate, run: Mapping[str, Any] | None) -> tuple[Identity, ...]:
    """Who asked for the package: whoever started the run that registered it, and whoever signed for it.

    Args:
        run: DescribePipelineExecution's answer for `candidate.generated_by`. AWS documents IamIdentity for packages, not for runs: it
            may be missing there, and the signature is what remains.
    """
    started = Identity.told((run or {}).get("CreatedBy"), f"DescribePipelineExecution CreatedBy {candidate.generated_by}")
    signature = candidate.metadata.get(REQUESTED)
    source = f"DescribeModelPackage CustomerMetadataProperties {REQUESTED}"
    signed = Identity(principal_id=signature, read_from=source) if signature else None
    return tuple(identity for identity in (started, signed) if identity is not None)


def check_registered(outputs: EnvironmentOutputs, candidate: Candidate) -> None:
    """A package must have been registered by a duty's role, after the gates, and not by hand.

    Raises:
        PreflightError: AWS names another, or nobody.
    """
    maker = Identity.told(candidate.created_by, "DescribeModelPackage CreatedBy")
    allowed = {arn.rpartition("/")[2] for arn in (outputs.roles.promotion, outputs.roles.jobs)}
    if maker is None or maker.role_name not in allowed:
        raise PreflightError(
            f"it was registered by {maker or 'nobody whom AWS names'}, not by a pipeline of {outputs.environment}",
            where=candidate.arn,
            remedy="Promote or train the package; what was registered by hand was judged by nobody.",
        )


def people(outputs: EnvironmentOutputs, candidate: Candidate, run: Mapping[str, Any] | None) -> People:
    """Who asked for and who approved an Approved package.

    Raises:
        PreflightError: approval is manual, and AWS does not attest that another person than the requester approved.
    """
    asked = requesters(candidate, run)
    changed = Identity.told(candidate.modified_by, "DescribeModelPackage LastModifiedBy")
    if outputs.promotion.approval == "manual":
        if problem := _problem_of_approval(outputs, candidate, asked, changed):
            raise PreflightError(problem, where=candidate.arn, remedy=_AGAIN)
        return People(requesters=asked, approver=changed)
    signed = changed is not None and candidate.metadata.get(APPROVED) == changed.principal_id
    return People(requesters=asked, approver=changed if signed else None)


def _problem_of_approval(
    outputs: EnvironmentOutputs, candidate: Candidate, asked: tuple[Identity, ...], changed: Identity | None
) -> str | None:
    if changed is None:
        return "AWS does not say who approved it"
    signature = candidate.metadata.get(APPROVED, "")
    if not signature:
        return f"it was approved without a signature; {changed} changed it last"
    if signature != changed.principal_id:
        return f"the approval is signed by {signature}, but {changed} changed the package last"
    return refusal(outputs, changed, asked)


def refusal(outputs: EnvironmentOutputs, approver: Identity, asked: tuple[Identity, ...]) -> str | None:
    """Why this identity may not approve what those asked for; None if it may."""
    duties = {arn.rpartition("/")[2] for arn in vars(outputs.roles).values()}
    if approver.role_name in duties:
        return f"{approver} is a duty's role, no person"
    if not approver.names:
        return f"the session {approver} names no person"
    if not asked:
        return "AWS does not say who asked for it, and nobody signed for that"
    for requester in asked:
        if not requester.names:
            return f"it was asked for in a session that names no person ({requester})"
        if approver.is_same_person(requester):
            return f"{approver} approved what they had asked for ({requester})"
    return None
