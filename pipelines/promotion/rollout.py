"""The rollout of one promotion, from wherever it is to a known ending.

Each turn looks at the endpoint, lets `decisions.next_step` say what follows, and does that one thing; everything it does is safe to do
again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import ConflictError, OutcomeUnknown, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import plan, preflight, resources
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.decisions import ASK_AGAIN_SECONDS, EndpointView, Step, never_heard, next_step
from pipelines.promotion.health import Watch
from pipelines.promotion.journal import Entry, Journal
from pipelines.promotion.pace import Pace, Patience
from pipelines.promotion.plan import BACK, Job, Plan
from pipelines.promotion.seam import Aws, code, in_progress, passing, text, was_asked_once

_SETTLING_SECONDS = 900
"""Service time within which an endpoint that changes for no reason of ours must come to rest."""


class Rollout:
    """One run's work on a promotion, under the lease that `heartbeat` keeps. `candidate` reads the package, which may be gone once the
    update was asked for."""

    def __init__(
        self,
        aws: Aws,
        outputs: EnvironmentOutputs,
        journal: Journal,
        *,
        job: Job,
        entry: Entry,
        candidate: Callable[[], Candidate],
        people: dict[str, Any],
        heartbeat: Callable[[], None],
    ) -> None:
        self._aws = aws
        self._outputs = outputs
        self._journal = journal
        self._job = job
        self._entry = entry
        self._candidate = candidate
        self._people = people
        self._heartbeat = heartbeat

    def run(self) -> None:
        """To a known ending, which is recorded in the journal."""
        job, entry = self._job, self._entry
        cleared = False
        if not entry.facts.get("plan"):
            view = self._look()
            candidate = self._candidate()
            ringing = self._clear(candidate, view)
            cleared = True
            take = entry.facts.get("take", 0)
            made = plan.make(self._outputs, job, candidate, view, ringing=ringing, take=take, now=self._aws.now)
            self._journal.record(entry, **vars(job), plan=made.stored())
        settled = Plan(**entry.facts["plan"])
        names = plan.names_of(self._outputs, job.promotion, entry.facts.get("take", 0))
        watch = Watch(self._aws, self._outputs, names, settled.rollback_alarms, entry.facts["probes"], settled.began, self._heartbeat)
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
                        if self._asked_just_now():
                            pace.pause()
                            continue
                        if never_heard(view, asked_at=entry.facts["asked_at"]):
                            self._journal.record(entry, submitting=False)
                    if not prepared:
                        if not cleared:
                            self._clear(self._candidate(), view)
                        resources.ensure(self._aws, self._outputs, settled, job, pace.pause)
                        resources.await_ok(self._aws, settled.rollback_alarms, pace.pause, self._heartbeat)
                        prepared = True  # which took a while, so the endpoint is looked at once more
                    elif not self._ask(settled):
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
                    self._end("released", watch)
                    return
                case Step.REVERT:
                    if not (entry.facts.get("revert_asked") and self._asked_just_now()):
                        self._ask_back(settled)
                    pace.pause()
                case Step.ROLLED_BACK:
                    watch.look(view)
                    if view.failure_reason:
                        watch.reasons.append(f"the service says: {view.failure_reason}")
                    self._end("rolled-back", watch)
                    return
                case Step.SOMEBODY_ELSE:
                    raise ConflictError(
                        f"somebody else changed it or is changing it: {view.status}, config {view.config}, pending {view.pending_config}",
                        where=f"endpoint {self._outputs.endpoint.name}",
                        remedy="Wait until it is InService. Only promotions may update it: find out who did.",
                    )
                case Step.OVERTAKEN:
                    watch.reasons.append(f"somebody else's config {view.config} is live, though this promotion's update was accepted")
                    self._end("unknown", watch)
                    return
                case Step.UNKNOWN if not entry.facts.get("submitting"):
                    raise PreflightError(
                        f"it is {view.status}: {view.failure_reason or 'no reason given'}",
                        where=f"endpoint {self._outputs.endpoint.name}",
                        remedy="Nothing was changed. `pulumi up --refresh` recreates an endpoint that failed.",
                    )
                case Step.UNKNOWN:
                    raise self._unknown(view)

    def _clear(self, candidate: Candidate, view: EndpointView) -> list[str]:
        """Preflight, and what it found goes into the journal for the evidence; returns the endpoint's alarms that ring."""
        may_ring, pause = self._job.operation in BACK, Pace(self._aws).pause
        ringing = resources.check_alarms(self._aws, self._outputs, may_ring=may_ring, pause=pause, heartbeat=self._heartbeat)
        resources.check_variant(self._aws, self._outputs, view)
        cleared = preflight.run(self._aws, self._outputs, candidate, view, self._heartbeat)
        self._journal.record(
            self._entry,
            people=self._people,
            probes=[dict(probe) for probe in cleared.probes],
            judged=cleared.judged,
            candidate={"image": candidate.image, "model_data_url": candidate.model_data_url, "metadata": candidate.metadata},
            **vars(self._job),
        )
        return ringing

    def _ask(self, settled: Plan) -> bool:
        """Ask for the update. False: whether it was heard, the next looks tell.

        Raises:
            PreflightError: it was refused.
        """
        first = not self._entry.facts.get("submitting")
        self._journal.record(self._entry, submitting=True, asked_at=self._aws.now)
        try:
            self._aws.update_endpoint(
                self._outputs.endpoint.name, config=settled.target, deployment=settled.deployment, retain=settled.retain
            )
        except ClientError as error:
            # A lost answer makes the SDK ask twice, and the second is refused because the first was heard. And a look may be an old one.
            if passing(error) or not was_asked_once(error):
                return False
            if first:
                self._journal.record(self._entry, submitting=False)
            if next_step(self._look(), settled.progress(self._entry.facts)) is Step.UPDATE and not in_progress(error):
                raise PreflightError(
                    f"the update was refused: {code(error)}: {text(error)}",
                    where=f"endpoint {self._outputs.endpoint.name}",
                    remedy="Nothing was changed. Remove the cause and run the promotion again.",
                ) from error
            return False
        self._journal.record(self._entry, submitted=True)
        return True

    def _ask_back(self, settled: Plan) -> None:
        """Ask for the former config again; whether that was heard, the next looks tell."""
        self._journal.record(self._entry, revert_asked=True, asked_at=self._aws.now)
        try:
            self._aws.update_endpoint(
                self._outputs.endpoint.name, config=settled.former, deployment=resources.way_back(self._outputs), retain=True
            )
        except ClientError as error:
            if not passing(error) and not in_progress(error):
                raise

    def _end(self, ending: str, watch: Watch) -> None:
        self._journal.record(
            self._entry,
            ending={"ending": ending, "at": self._aws.now, "reasons": list(watch.reasons) if ending != "released" else []},
            seen={"probes_sent": watch.sent, "probes_failed": watch.failed, "new_fleet_invocations": watch.green_invocations},
        )

    def _asked_just_now(self) -> bool:
        return bool(self._aws.now < self._entry.facts["asked_at"] + ASK_AGAIN_SECONDS)

    def _look(self) -> EndpointView:
        return resources.look(self._aws, self._outputs)

    def _unknown(self, view: EndpointView, waited: float = 0.0) -> OutcomeUnknown:
        seen: dict[str, Any] = {"status": view.status, "config": view.config, "pending": view.pending_config, "reason": view.failure_reason}
        return OutcomeUnknown(
            f"{f'after {waited:.0f} s ' if waited else ''}the endpoint is in a state that tells no outcome: {seen}",
            where=f"endpoint {self._outputs.endpoint.name}",
            remedy="All is left as it is. Look at the endpoint, then run the same promotion again: it resumes.",
        )
