"""Runs a promotion to its end, however often it was killed before.

Each turn looks at the endpoint, lets `decisions.next_step` say what follows, and does that one thing; everything it does is safe to do
again, so a call that gets no answer is followed by another turn. What can't be read off AWS is in the journal: the plan, that an update
was asked for, that its deployment was seen, how it ended.
"""

from __future__ import annotations

import contextlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import ConflictError, LockstepError, OutcomeUnknown, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import attest, cleanup, plan, preflight, refusals, resources
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.conclusion import conclude, live_config
from pipelines.promotion.decisions import ASK_AGAIN_SECONDS, EndpointView, Step, never_heard, next_step
from pipelines.promotion.evidence import Ledger
from pipelines.promotion.health import Watch
from pipelines.promotion.journal import Entry, Holder, Journal, Lease, LeaseLost
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.pace import Pace, Patience
from pipelines.promotion.plan import Job, Order, Plan
from pipelines.promotion.refusals import Asked
from pipelines.promotion.resolve import check_current, resolve
from pipelines.promotion.seam import Aws, code, in_progress, passing, text, was_asked_once

_SETTLING_SECONDS = 900
"""Service time within which an endpoint that changes for no reason of ours must come to rest."""

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
        known = self._journal.load(job.promotion)
        if known is not None and known.outcome is not None:
            self._journal.close(job.promotion)
            return Outcome.parse(known.outcome)
        lease = self._journal.acquire(job.promotion, job.operation)
        if isinstance(lease, Holder):
            return None
        entry = self._entry = self._journal.open(job.promotion)
        if entry.outcome is not None:
            self._journal.give_up(lease, finished=True)
            return Outcome.parse(entry.outcome)
        self._heartbeat_lease = lease
        self._aws.before = lambda call, on: self._journal.note(entry, call, on)
        try:
            if not entry.facts.get("plan") and not _has_asked(entry) and not check_current(self._outputs, self._ledger, job):
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

    def _stopped(self, error: Exception, entry: Entry, lease: Lease) -> Exception:
        """Tidy up after a stop: before the update was asked for nothing has changed, and what was made is deleted again.

        Raises:
            LeaseLost: another run has taken over, and what it comes to is the answer.
        """
        if _has_asked(entry):
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
        if self._entry is not None and _has_asked(self._entry):
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
        if not entry.facts.get("ending"):
            self._roll_out(job, entry)
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

    def _roll_out(self, job: Job, entry: Entry) -> None:
        """From wherever the promotion is to a known ending, which is recorded in the journal."""
        if entry.facts.get("abandoned"):
            self._discard(entry)
        candidate = self._candidate(job.model_package_arn)
        cleared = False
        if not entry.facts.get("plan"):
            view = self._look()
            self._clear(candidate, view, entry, job)
            cleared = True
            made = plan.make(self._outputs, job, candidate, view, take=entry.facts.get("take", 0), now=self._aws.now)
            self._journal.record(entry, **vars(job), plan=made.stored())
        settled = Plan(**entry.facts["plan"])
        names = plan.names_of(self._outputs, job.promotion, entry.facts.get("take", 0))
        watch = Watch(self._aws, self._outputs, names, entry.facts["probes"], settled.began, self._heartbeat)
        watch.reasons, watch.vetoed = list(entry.facts.get("reasons", [])), bool(entry.facts.get("vetoed"))
        pace = Pace(self._aws)
        restless: Patience | None = None
        prepared = False
        while True:
            view = self._look()
            self._heartbeat()
            step = next_step(view, settled.progress(entry.facts))
            if step in {Step.WAIT, Step.REVERT} or (step is Step.UPDATE and prepared):
                restless = restless or Patience(self._aws, _SETTLING_SECONDS)
                if restless.spent():
                    raise self._unknown(view, restless.waited())
            else:
                restless = None
            match step:
                case Step.UPDATE:
                    if entry.facts.get("submitting"):
                        if self._asked_just_now(entry):
                            pace.pause()
                            continue
                        if never_heard(view, asked_at=entry.facts["asked_at"]):
                            self._journal.record(entry, submitting=False)
                    if not prepared:
                        if not cleared:
                            self._clear(candidate, view, entry, job)
                        resources.ensure(self._aws, self._outputs, settled, job, pace.pause)
                        resources.await_ok(self._aws, settled.rollback_alarms, pace.pause, self._heartbeat)
                        prepared = True  # which took a while, so the endpoint is looked at once more
                    elif not self._ask(settled, entry):
                        pace.pause()
                case Step.WATCH:
                    if not entry.facts.get("reverting"):
                        if not entry.facts.get("seen_pending"):
                            self._journal.record(entry, seen_pending=True, seen_at=view.modified, submitting=True, submitted=True)
                        watch.look(view)
                        if (watch.reasons, watch.vetoed) != (entry.facts.get("reasons", []), entry.facts.get("vetoed", False)):
                            self._journal.record(entry, reasons=list(watch.reasons), vetoed=watch.vetoed)
                    waited = self._aws.now - entry.facts.get("asked_at", settled.began)
                    if waited > self._outputs.rollout.maximum_execution_timeout_seconds + 2 * _SETTLING_SECONDS:
                        raise self._unknown(view, waited)
                    pace.pause()
                case Step.WAIT:
                    pace.pause()
                case Step.RELEASED:
                    faults = watch.faults_after(pace.pause)
                    if faults:
                        watch.reasons += faults
                        self._journal.record(entry, reverting=True, seen_at=view.modified, reasons=list(watch.reasons))
                        continue
                    if next_step(self._look(), settled.progress(entry.facts)) is not Step.RELEASED:
                        continue
                    self._end(entry, "released", watch)
                    return
                case Step.REVERT:
                    if not (entry.facts.get("revert_asked") and self._asked_just_now(entry)):
                        self._ask_back(settled, entry)
                    pace.pause()
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
                case Step.OVERTAKEN:
                    watch.reasons.append(f"somebody else's config {view.config} is live, though this promotion's update was accepted")
                    self._end(entry, "unknown", watch)
                    return
                case Step.UNKNOWN if not entry.facts.get("submitting"):
                    raise PreflightError(
                        f"it is {view.status}: {view.failure_reason or 'no reason given'}",
                        where=f"endpoint {self._outputs.endpoint.name}",
                        remedy="Nothing was changed. `pulumi up --refresh` recreates an endpoint that failed.",
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
        known = self._journal.load(job.promotion)
        if known is not None and known.facts.get("people"):
            return dict(known.facts["people"])
        if job.operation != "release":
            return attest.operation(self._aws, job, self._run_name)
        return attest.release(self._aws, self._outputs, job, self._candidate(job.model_package_arn), self._refused)

    def _ask(self, settled: Plan, entry: Entry) -> bool:
        """Ask for the update. False: whether it was heard, the next looks tell.

        Raises:
            PreflightError: it was refused.
        """
        first = not entry.facts.get("submitting")
        self._journal.record(entry, submitting=True, asked_at=self._aws.now)
        try:
            self._aws.update_endpoint(
                self._outputs.endpoint.name, config=settled.target, deployment=settled.deployment, retain=settled.retain
            )
        except ClientError as error:
            # A lost answer makes the SDK ask twice, and the second is refused because the first was heard. And a look may be an old one.
            if passing(error) or not was_asked_once(error):
                return False
            if first:
                self._journal.record(entry, submitting=False)
            if next_step(self._look(), settled.progress(entry.facts)) is Step.UPDATE and not in_progress(error):
                raise PreflightError(
                    f"the update was refused: {code(error)}: {text(error)}",
                    where=f"endpoint {self._outputs.endpoint.name}",
                    remedy="Nothing was changed. Remove the cause and run the promotion again.",
                ) from error
            return False
        self._journal.record(entry, submitted=True)
        return True

    def _ask_back(self, settled: Plan, entry: Entry) -> None:
        """Ask for the former config again; whether that was heard, the next looks tell."""
        self._journal.record(entry, revert_asked=True, asked_at=self._aws.now)
        try:
            self._aws.update_endpoint(
                self._outputs.endpoint.name, config=settled.former, deployment=resources.way_back(self._outputs), retain=True
            )
        except ClientError as error:
            if not passing(error) and not in_progress(error):
                raise

    def _end(self, entry: Entry, ending: str, watch: Watch) -> None:
        self._journal.record(
            entry,
            ending={"ending": ending, "at": self._aws.now, "reasons": list(watch.reasons) if ending != "released" else []},
            seen={"probes_sent": watch.sent, "probes_failed": watch.failed, "new_fleet_invocations": watch.green_invocations},
        )

    def _asked_just_now(self, entry: Entry) -> bool:
        return bool(self._aws.now < entry.facts["asked_at"] + ASK_AGAIN_SECONDS)

    def _look(self) -> EndpointView:
        return resources.look(self._aws, self._outputs)

    def _heartbeat(self) -> None:
        if self._heartbeat_lease is not None:
            self._journal.renew(self._heartbeat_lease)

    def _unknown(self, view: EndpointView, waited: float = 0.0) -> OutcomeUnknown:
        seen: dict[str, Any] = {"status": view.status, "config": view.config, "pending": view.pending_config, "reason": view.failure_reason}
        return OutcomeUnknown(
            f"{f'after {waited:.0f} s ' if waited else ''}the endpoint is in a state that tells no outcome: {seen}",
            where=f"endpoint {self._outputs.endpoint.name}",
            remedy="All is left as it is. Look at the endpoint, then run the same promotion again: it resumes.",
        )


def _has_asked(entry: Entry) -> bool:
    """Whether the update may have been heard: from here on a stop leaves everything as it is."""
    return bool(entry.facts.get("submitting") or entry.facts.get("ending"))
