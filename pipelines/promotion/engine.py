"""Runs a promotion to its end, however often it was killed before.

Everything it does is safe to do again, so a call that gets no answer is followed by another turn. What can't be read off AWS is in the
journal: the plan, that an update was asked for, that its deployment was seen, how it ended.
"""

from __future__ import annotations

import contextlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import ConflictError, IntegrityError, LockstepError, OutcomeUnknown, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import attest, cleanup, preflight, refusals, resources
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.conclusion import conclude, live_config
from pipelines.promotion.decisions import EndpointView
from pipelines.promotion.evidence import Ledger
from pipelines.promotion.journal import Entry, Holder, Journal, Lease, LeaseLost
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.pace import Pace
from pipelines.promotion.plan import Job, Order, Plan
from pipelines.promotion.refusals import Asked
from pipelines.promotion.resolve import check_current, resolve
from pipelines.promotion.rollout import Rollout
from pipelines.promotion.seam import Aws, passing

_INTERRUPTIONS = 10
"""How many calls of one run may get no answer, or be throttled, after the SDK's own attempts."""

_LOOKS_TO_CONCLUDE = 6


class LedgerGrew(Exception):
    """Another promotion has ended since the order was settled."""


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
        self._entry: Entry | None = None
        self._interruptions = 0

    def execute(self, order: Order) -> Outcome:
        """Carry the order out, or resume it, or follow the run that is at it.

        Raises:
            PreflightError, IntegrityError, ConflictError: nothing was changed.
            OutcomeUnknown: the update was asked for and its end can't be told; all is left as it is.
        """
        pace = Pace(self._aws)
        while True:
            try:
                job = resolve(self._aws, self._outputs, self._journal, self._ledger, order, run=self._run_name)
                if isinstance(job, Outcome):
                    return job
                asked = Asked(promotion=job.promotion, execution=self._run_name, claimed=job.requested_by)
                self._refused = {"operation": job.operation, "model_package_arn": job.model_package_arn}
                with refusals.recorded(self._aws, self._outputs, asked, "Release", self._refused):
                    self._people = self._attested(job)
                    return self._execute(job, pace)
            except LedgerGrew:
                continue
            except (ClientError, BotoCoreError) as error:
                self._outlive(error)
                pace.pause()

    def _execute(self, job: Job, pace: Pace) -> Outcome:
        while True:
            try:
                if outcome := self._run(job):
                    return outcome
            except LeaseLost:
                pass
            except (ClientError, BotoCoreError) as error:
                self._outlive(error)
            pace.pause()

    def _outlive(self, error: Exception) -> None:
        """Let a call go that got no answer, unless there were too many of them; then, or if it was refused, raise what that means."""
        if not passing(error) or self._interruptions == _INTERRUPTIONS:
            raise self._unanswered(error) from error
        self._interruptions += 1

    def _run(self, job: Job) -> Outcome | None:
        """The promotion's outcome; None while another run is at it."""
        known = self._journal.entry_of(job)
        if known is not None and known.outcome is not None:
            self._journal.close(job.promotion)
            return Outcome.parse(known.outcome)
        self._close_left_behind(job)
        lease = self._journal.acquire(job)
        if isinstance(lease, Holder):
            return None
        try:
            entry = self._entry = self._journal.open(job)
        except IntegrityError:
            self._journal.give_up(lease, finished=True)
            raise
        if entry.outcome is not None:
            self._journal.give_up(lease, finished=True)
            return Outcome.parse(entry.outcome)
        self._heartbeat_lease = lease
        self._aws.before = lambda call, on: self._journal.note(entry, call, on)
        try:
            if not entry.facts.get("plan") and not entry.has_asked and not check_current(self._outputs, self._ledger, job):
                self._journal.give_up(lease, finished=True)
                raise LedgerGrew
            outcome = self._drive(job, entry)
        except (LockstepError, ClientError, BotoCoreError) as error:
            if passing(error) and self._interruptions < _INTERRUPTIONS:
                raise
            raise self._stopped(error, entry, lease) from error
        finally:
            self._aws.before = lambda call, on: None
        self._journal.give_up(lease, finished=True)
        return outcome

    def _close_left_behind(self, job: Job) -> None:
        """Before the lease is taken from a promotion that died before it had touched the endpoint: delete what it made, and say so in the
        ledger. Asked for again, it begins anew."""
        if (left := self._journal.left_behind(job)) is None:
            return
        held, entry = left
        self._aws.before = lambda call, on: self._journal.note(entry, call, on)
        try:
            self._discard(entry)
            asked = Asked(promotion=held.promotion, execution=held.run, claimed=held.requested_by)
            about = {"operation": held.operation, "model_package_arn": held.model_package_arn}
            refusals.write(self._aws, self._outputs, asked, "Release", _abandoned(self._outputs, job), about)
        finally:
            self._aws.before = lambda call, on: None

    def _stopped(self, error: Exception, entry: Entry, lease: Lease) -> Exception:
        """Tidy up after a stop: before the update was asked for nothing has changed, and what was made is deleted again.

        Raises:
            LeaseLost: another run has taken over, and what it comes to is the answer.
        """
        if entry.has_asked:
            with contextlib.suppress(ClientError, BotoCoreError):
                self._journal.give_up(lease, finished=False)
            return error if isinstance(error, OutcomeUnknown) else self._stopped_midway(error, entry)
        with contextlib.suppress(ClientError, BotoCoreError):
            self._discard(entry)
        with contextlib.suppress(ClientError, BotoCoreError):
            self._journal.give_up(lease, finished=True)
        return error if isinstance(error, LockstepError) else self._unanswered(error)

    def _stopped_midway(self, error: Exception, entry: Entry) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"promotion {entry.promotion} stopped after it had asked for the update: {error}",
            where=f"endpoint {self._outputs.endpoint.name}",
            remedy="All is left as it is. Look at the endpoint, then run the same promotion again: it resumes.",
        )

    def _unanswered(self, error: Exception) -> LockstepError:
        """A call that AWS refused or never answered, as what it means for the promotion."""
        if self._entry is not None and self._entry.has_asked:
            return self._stopped_midway(error, self._entry)
        return preflight.refused(error) if isinstance(error, ClientError) else LockstepError(f"AWS could not be reached: {error}")

    def _discard(self, entry: Entry) -> None:
        """Delete what was made for a plan whose update was never asked for. What is deleted is never made again by the same name."""
        if entry.facts.get("plan"):
            self._journal.record(entry, abandoned=entry.facts["plan"], plan=None, take=entry.facts.get("take", 0) + 1)
        if entry.facts.get("abandoned"):
            cleanup.discard(self._aws, Plan(**entry.facts["abandoned"]))
            self._journal.record(entry, abandoned=None)

    def _drive(self, job: Job, entry: Entry) -> Outcome:
        if entry.facts.get("abandoned"):
            self._discard(entry)
        if not entry.facts.get("ending"):
            Rollout(
                self._aws,
                self._outputs,
                self._journal,
                job=job,
                entry=entry,
                candidate=lambda: self._candidate(job.model_package_arn),
                people=self._people,
                heartbeat=self._heartbeat,
            ).run()
        return conclude(self._aws, self._outputs, self._journal, self._ledger, entry, self._look_at_the_end(entry))

    def _look_at_the_end(self, entry: Entry) -> EndpointView:
        """A look that agrees with the ending; if none does, the last one, and the cleaning that follows it spares what both name."""
        expected, pace = live_config(entry.facts), Pace(self._aws)
        view = self._look()
        for _ in range(_LOOKS_TO_CONCLUDE):
            if expected is None or view.config == expected:
                break
            pace.pause()
            self._heartbeat()
            view = self._look()
        return view

    def _candidate(self, arn: str) -> Candidate:
        described = self._aws.package(arn)
        if described is None:
            raise PreflightError("there is no such model package", where=arn, remedy="`lockstep models` lists those that there are.")
        candidate = Candidate.parse(described)
        self._refused |= refusals.about(candidate)
        return candidate

    def _attested(self, job: Job) -> dict[str, Any]:
        known = self._journal.entry_of(job)
        if known is not None and known.facts.get("people"):
            return dict(known.facts["people"])
        if job.operation != "release":
            return attest.operation(self._aws, job, self._run_name)
        return attest.release(self._aws, self._outputs, job, self._candidate(job.model_package_arn), self._refused)

    def _look(self) -> EndpointView:
        return resources.look(self._aws, self._outputs)

    def _heartbeat(self) -> None:
        if self._heartbeat_lease is not None:
            self._journal.renew(self._heartbeat_lease)


def _abandoned(outputs: EnvironmentOutputs, job: Job) -> ConflictError:
    return ConflictError(
        f"it was left before it had changed anything, and {job.operation} {job.promotion} went ahead",
        where=f"endpoint {outputs.endpoint.name}",
        remedy="Run it again: it begins anew.",
    )
