"""From what somebody asked for to the promotion that it is: its id, its package, or that there is nothing to do."""

from __future__ import annotations

from itertools import count

from infra.errors import ConflictError, IntegrityError, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import render, resources
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.decisions import EndpointView, is_live
from pipelines.promotion.evidence import Ledger, Release, former
from pipelines.promotion.journal import Journal
from pipelines.promotion.names import is_promotion_id, operation_id, promotion_id
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Job, Order
from pipelines.promotion.seam import Aws


def resolve(aws: Aws, outputs: EnvironmentOutputs, journal: Journal, ledger: Ledger, order: Order, *, run: str) -> Job | Outcome:
    """The job to do, or the outcome if the ledger's release already is what was asked for. `run` names who asks."""
    if order.operation == "release":
        return _release(aws, outputs, journal, order)
    if unfinished := _begun(journal, order, run):
        return unfinished
    releases = ledger.releases()
    where = f"ledger of {outputs.environment}"
    if not releases:
        raise PreflightError("the ledger knows no release", where=where, remedy="Promote a package first.")
    head = releases[-1]
    chosen = former(releases, where) if order.operation == "rollback" else head
    described = aws.endpoint(outputs.endpoint.name)
    view = resources.view_of(described) if described else None
    if view is not None and _nothing_to_do(order, head, view, outputs):
        return Outcome(
            promotion=head.promotion,
            operation=order.operation,
            ending="released",
            endpoint_config=head.endpoint_config,
            model_package_arn=head.model_package_arn,
            at=head.at,
            reasons=("already live: nothing to do",),
        )
    for attempt in count(1):
        identifier = operation_id(
            environment=outputs.environment,
            operation=order.operation,
            ledger_number=head.number,
            model_package_arn=chosen.model_package_arn,
            spec_digest=f"{render.spec_digest(outputs.serving)}-{attempt}",
        )
        entry = journal.load(identifier)
        if entry is None or entry.outcome is None:
            break
    return Job(
        promotion=identifier,
        operation=order.operation,
        model_package_arn=chosen.model_package_arn,
        requested_by=order.requested_by,
        head=head.number,
    )


def check_current(outputs: EnvironmentOutputs, ledger: Ledger, job: Job) -> bool:
    """Whether the ledger still is what the job was settled from; to be asked under the lease, before the job begins. If not, a redeploy or
    restore is settled anew.

    Raises:
        ConflictError: a rollback; settled anew it would take back a release that nobody asked to take back.
    """
    latest = ledger.latest() if job.head is not None else None
    if latest is None or latest.number == job.head:
        return True
    if job.operation == "rollback":
        raise ConflictError(
            f"since the rollback was asked for, {latest.operation} {latest.promotion} has ended",
            where=f"ledger of {outputs.environment}",
            remedy="Look at what serves now (`lockstep status`), and ask again if that is to be taken back too.",
        )
    return False


def _release(aws: Aws, outputs: EnvironmentOutputs, journal: Journal, order: Order) -> Job:
    described = aws.package(order.model_package_arn)
    if described is None:
        held = journal.holder()
        if held is not None and not held.finished and (held.operation, held.model_package_arn) == ("release", order.model_package_arn):
            return held.job  # whatever became of its package, a promotion that has begun must come to its end
        raise PreflightError(
            "there is no such model package", where=order.model_package_arn, remedy="`lockstep models` lists those that there are."
        )
    candidate = Candidate.parse(described)
    identifier = candidate.metadata.get("promotion-id") or promotion_id(
        environment=outputs.environment, source_model_package_arn=candidate.arn, attempt=1
    )
    if not is_promotion_id(identifier):
        raise IntegrityError(f"{identifier!r} is no promotion's id", where=candidate.arn, remedy="Register the package again.")
    requested_by = order.requested_by or candidate.metadata.get("requested-by", "")
    return Job(promotion=identifier, operation="release", model_package_arn=candidate.arn, requested_by=requested_by)


def _begun(journal: Journal, order: Order, run: str) -> Job | None:
    """A run of the same operation that was killed, or this very run: the ledger may have grown since it began, so its id can't be
    computed again."""
    held = journal.holder()
    if held is None or held.operation != order.operation or not held.model_package_arn:
        return None
    entry = journal.load(held.promotion)
    ended = entry is not None and entry.outcome is not None
    if held.finished and not (ended and held.run == run):
        return None
    return held.job


def _nothing_to_do(order: Order, head: Release, view: EndpointView, outputs: EnvironmentOutputs) -> bool:
    if order.operation == "rollback" or not is_live(view, head.endpoint_config):
        return False
    if order.operation == "restore":
        return True
    return head.spec_digest == render.spec_digest(outputs.serving) and view.desired_count == outputs.serving.instance_count
