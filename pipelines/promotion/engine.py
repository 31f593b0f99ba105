"""Runs a promotion to its end, however often it was killed before.

Each turn looks at the endpoint, lets `decisions.next_step` say what follows, and does that one thing; everything it does is safe to do
again. What can't be read off AWS is in the journal: the plan, that an update was asked for, that its deployment was seen, how it ended.
"""

from __future__ import annotations

import contextlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import ConflictError, LockstepError, OutcomeUnknown, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import approval, cleanup, plan, preflight, refusals, resources
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.conclusion import conclude
from pipelines.promotion.decisions import EndpointView, Step, next_step
from pipelines.promotion.evidence import Ledger
from pipelines.promotion.health import Watch
from pipelines.promotion.journal import Entry, Holder, Journal, Lease, LeaseLost
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.pace import Pace
from pipelines.promotion.people import Identity
from pipelines.promotion.plan import Job, Order, Plan
from pipelines.promotion.refusals import Asked
from pipelines.promotion.resolve import resolve
from pipelines.promotion.seam import Aws, code, text

_SETTLING_SECONDS = 900
"""Service time within which an endpoint that changes for no reason of ours must come to rest."""


class Engine:
    def __init__(self, aws: Aws, outputs: EnvironmentOutputs, *, run: str) -> None:
        self._aws = aws
        self._outputs = outputs
        self._run_name = run
        self._journal = Journal(aws, endpoint=outputs.endpoint.name, lease_seconds=outputs.promotion.lease_seconds, run=run)
        self._ledger = Ledger(aws, outputs.buckets.ledger.name)
        self._heartbeat_lease: Lease | None = None
        self._people: dict[str, Any] = {}
        self._refused: dict[str, Any] = {}

    def execute(self, order: Order) -> Outcome:
        """Carry the order out, or resume it, or follow the run that is at it.

        Raises:
            PreflightError, IntegrityError, ConflictError: nothing was changed.
            OutcomeUnknown: the update was asked for and its end can't be told; all is left as it is.
        """
        job = resolve(self._aws, self._outputs, self._journal, self._ledger, order, run=self._run_name)
        if isinstance(job, Outcome):
            return job
        asked = Asked(promotion=job.promotion, execution=self._run_name, claimed=job.requested_by)
        self._refused = {"operation": job.operation, "model_package_arn": job.model_package_arn}
        with refusals.recorded(self._aws, self._outputs, asked, "Release", self._refused):
            self._people = self._attested(job)
            return self._execute(job)

    def _execute(self, job: Job) -> Outcome:
        pace = Pace(self._aws)
        while True:
            known = self._journal.load(job.promotion)
            if known is not None and known.outcome is not None:
                self._journal.close(job.promotion)
                return Outcome.parse(known.outcome)
            lease = self._journal.acquire(job.promotion, job.operation)
            if isinstance(lease, Holder):
                pace.pause()
                continue
            try:
                return self._run(job, lease)
            except LeaseLost:
                pace.pause()

    def _run(self, job: Job, lease: Lease) -> Outcome:
        entry = self._journal.open(job.promotion)
        if entry.outcome is not None:
            self._journal.give_up(lease, finished=True)
            return Outcome.parse(entry.outcome)
        self._heartbeat_lease = lease
        self._aws.before = lambda call, on: self._journal.note(entry, call, on)
        try:
            outcome = self._drive(job, entry)
        except (LockstepError, ClientError, BotoCoreError) as error:
            raise self._stopped(error, entry, lease) from error
        finally:
            self._aws.before = lambda call, on: None
        self._journal.give_up(lease, finished=True)
        return outcome

    def _stopped(self, error: Exception, entry: Entry, lease: Lease) -> Exception:
        """Tidy up after a stop: before the update was asked for nothing has changed, and what was made is deleted again."""
        if entry.facts.get("submitting") or entry.facts.get("ending"):
            with contextlib.suppress(LeaseLost, ClientError, BotoCoreError):
                self._journal.give_up(lease, finished=False)
            if isinstance(error, OutcomeUnknown):
                return error
            return OutcomeUnknown(
                f"promotion {entry.promotion} stopped after it had asked for the update: {error}",
                where=f"endpoint {self._outputs.endpoint.name}",
                remedy="All is left as it is. Look at the endpoint, then run the same promotion again: it resumes.",
            )
        with contextlib.suppress(LeaseLost, ClientError, BotoCoreError):
            if entry.facts.get("plan"):
                cleanup.sweep(self._aws, self._outputs, self._look())
                self._journal.record(entry, plan=None)
            self._journal.give_up(lease, finished=True)
        if isinstance(error, ClientError):
            return preflight.refused(error)
        return error if isinstance(error, LockstepError) else LockstepError(f"AWS could not be reached: {error}")

    # ------------------------------------------------------------------------------------------------------------

    def _drive(self, job: Job, entry: Entry) -> Outcome:
        if not entry.facts.get("ending"):
            self._roll_out(job, entry)
        return conclude(self._aws, self._outputs, self._journal, self._ledger, entry, self._look())

    def _roll_out(self, job: Job, entry: Entry) -> None:
        """From wherever the promotion is to a known ending, which is recorded in the journal."""
        candidate = self._candidate(job.model_package_arn)
        cleared = False
        if not entry.facts.get("plan"):
            view = self._look()
            self._clear(candidate, view, entry, job)
            cleared = True
            made = plan.make(self._outputs, job, candidate, view, now=self._aws.now)
            self._journal.record(entry, **vars(job), plan=made.stored())
        settled = Plan(**entry.facts["plan"])
        names = plan.names_of(self._outputs, job.promotion)
        probes = entry.facts["probes"]
        watch = Watch(self._aws, self._outputs, names, probes, settled.began)
        watch.reasons = list(entry.facts.get("reasons", []))
        pace = Pace(self._aws)
        restless_since: float | None = None
        prepared = False
        while True:
            view = self._look()
            self._heartbeat()
            step = next_step(view, settled.progress(entry.facts))
            if step is not Step.WAIT:
                restless_since = None
            match step:
                case Step.UPDATE:
                    if not prepared:
                        if not cleared:
                            self._clear(candidate, view, entry, job)
                        resources.ensure(self._aws, self._outputs, settled, job)
                        resources.await_ok(self._aws, settled.rollback_alarms, pace.pause, self._heartbeat)
                        prepared = True
                    self._ask(settled, entry)
                case Step.WATCH:
                    if not entry.facts.get("reverting"):
                        if not entry.facts.get("seen_pending"):
                            self._journal.record(entry, seen_pending=True, submitting=True, submitted=True)
                        watch.look(view)
                        if watch.reasons != entry.facts.get("reasons", []):
                            self._journal.record(entry, reasons=list(watch.reasons))
                    limit = self._outputs.rollout.maximum_execution_timeout_seconds + 2 * _SETTLING_SECONDS
                    self._refuse_to_wait_longer(self._aws.now - entry.facts.get("asked_at", settled.began), limit, view)
                    pace.pause()
                case Step.WAIT:
                    restless_since = restless_since if restless_since is not None else self._aws.now
                    self._refuse_to_wait_longer(self._aws.now - restless_since, _SETTLING_SECONDS, view)
                    pace.pause()
                case Step.RELEASED:
                    faults = watch.faults_after(pace.pause, self._heartbeat)
                    if faults:
                        watch.reasons += faults
                        self._journal.record(entry, reverting=True, reasons=list(watch.reasons))
                        continue
                    self._end(entry, "released", watch)
                    return
                case Step.REVERT:
                    self._aws.update_endpoint(
                        self._outputs.endpoint.name, config=settled.former, deployment=resources.way_back(self._outputs), retain=True
                    )
                case Step.ROLLED_BACK:
                    watch.look(view)
                    if view.failure_reason:
                        watch.reasons.append(f"the service says: {view.failure_reason}")
                    self._end(entry, "rolled-back", watch)
                    return
                case Step.SOMEBODY_ELSE:
                    raise ConflictError(
                        f"somebody else changed it or is changing it: {view.status}, config {view.config}, pending {view.pending_config}",
                        where=f"endpoint {self._outputs.endpoint.name}",
                        remedy="Wait until it is InService. Only promotions may update it: find out who did.",
                    )
                case Step.UNKNOWN:
                    raise self._unknown(view)

    def _candidate(self, arn: str) -> Candidate:
        described = self._aws.package(arn)
        if described is None:
            raise PreflightError("there is no such model package", where=arn, remedy="`lockstep models` lists those that there are.")
        candidate = Candidate.parse(described)
        self._refused |= refusals.about(candidate)
        return candidate

    def _clear(self, candidate: Candidate, view: EndpointView, entry: Entry, job: Job) -> None:
        """Preflight, and what it found goes into the journal for the evidence."""
        resources.check_alarms(self._aws, self._outputs, Pace(self._aws).pause, self._heartbeat)
        resources.check_variant(self._aws, self._outputs, view)
        cleared = preflight.run(self._aws, self._outputs, candidate, view, self._heartbeat)
        self._journal.record(
            entry,
            people=self._people,
            probes=[dict(probe) for probe in cleared.probes],
            judged={"gates": cleared.gates, "evaluation": cleared.evaluation},
            candidate={"image": candidate.image, "model_data_url": candidate.model_data_url, "metadata": candidate.metadata},
            **vars(job),
        )

    def _attested(self, job: Job) -> dict[str, Any]:
        """Who asked and who approved, judged at the first sight of an approved package: whoever edits it later is not who approved it.

        For the same reason an approval that does not count is taken back: the next edit by anybody else would make it look like theirs.
        """
        known = self._journal.load(job.promotion)
        if known is not None and known.facts.get("people"):
            return dict(known.facts["people"])
        if job.operation != "release":
            started_by = (self._aws.execution(self._run_name) or {}).get("CreatedBy")
            started = Identity.told(started_by, f"DescribePipelineExecution CreatedBy {self._run_name}")
            asked = approval.People(requesters=(started,) if started else (), approver=None)
            return asked.document("of the release before", job.requested_by)
        candidate = self._candidate(job.model_package_arn)
        if candidate.approval != "Approved":  # preflight says so, beside whatever else is wrong
            return {}
        run = self._aws.execution(candidate.generated_by)
        try:
            found = approval.people(self._outputs, candidate, run)
        except PreflightError as error:
            self._aws.void_approval(candidate.arn, f"void: {error.message}")
            raise
        return found.document(self._outputs.promotion.approval, job.requested_by)

    def _ask(self, settled: Plan, entry: Entry) -> None:
        self._journal.record(entry, submitting=True, asked_at=self._aws.now)
        try:
            self._aws.update_endpoint(
                self._outputs.endpoint.name, config=settled.target, deployment=settled.deployment, retain=settled.retain
            )
        except ClientError as error:
            # A lost answer makes the SDK ask twice, and the second is refused because the first was heard: only a look can tell.
            step = next_step(self._look(), settled.progress(entry.facts))
            if step in {Step.UPDATE, Step.SOMEBODY_ELSE}:
                self._journal.record(entry, submitting=False)
                if step is Step.UPDATE:
                    raise PreflightError(
                        f"the update was refused: {code(error)}: {text(error)}",
                        where=f"endpoint {self._outputs.endpoint.name}",
                        remedy="Nothing was changed. Remove the cause and run the promotion again.",
                    ) from error
            return
        self._journal.record(entry, submitted=True)

    def _end(self, entry: Entry, ending: str, watch: Watch) -> None:
        self._journal.record(
            entry,
            ending={"ending": ending, "at": self._aws.now, "reasons": list(watch.reasons) if ending != "released" else []},
            seen={"probes_sent": watch.sent, "probes_failed": watch.failed, "new_fleet_invocations": watch.green_invocations},
        )

    def _look(self) -> EndpointView:
        return resources.look(self._aws, self._outputs)

    def _heartbeat(self) -> None:
        if self._heartbeat_lease is not None:
            self._journal.renew(self._heartbeat_lease)

    def _refuse_to_wait_longer(self, waited: float, limit: float, view: EndpointView) -> None:
        if waited > limit:
            raise self._unknown(view, f"after {waited:.0f} s ")

    def _unknown(self, view: EndpointView, since: str = "") -> OutcomeUnknown:
        seen: dict[str, Any] = {"status": view.status, "config": view.config, "pending": view.pending_config, "reason": view.failure_reason}
        return OutcomeUnknown(
            f"{since}the endpoint is in a state that tells no outcome: {seen}",
            where=f"endpoint {self._outputs.endpoint.name}",
            remedy="All is left as it is. Look at the endpoint, then run the same promotion again: it resumes.",
        )
