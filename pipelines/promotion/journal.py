"""Who may change an endpoint, and what a promotion has done: a DynamoDB table with conditional writes.

Two kinds of items. `LEASE#<endpoint>` says which run of which job may act, until when, and whether that promotion came to an end.
`<promotion id>` keeps the promotion's job, its plan, its facts and the trail of its calls. A promotion's id comes from metadata that people
may write, so it belongs to the job that its entry was first written for. Each item carries a version that every write expects and raises,
and names the process that wrote it; that is the fencing token: a run that was taken over finds its next write refused, and so makes no
more calls. The one that it may have been about to make is harmless whenever it comes: no name is used again after its deletion.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from infra.errors import ConflictError, IntegrityError
from pipelines.promotion.plan import Job
from pipelines.promotion.seam import Aws, VersionConflict


class LeaseLost(Exception):
    """Another run has taken over; this one must stop acting."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has the lease, and for which job: whoever takes it over must be able to go on. `until` is service time, epoch seconds;
    `finished` is False while the promotion's end is not recorded."""

    promotion: str
    operation: str
    run: str
    until: float
    finished: bool
    model_package_arn: str = ""
    requested_by: str = ""
    head: int | None = None

    @property
    def job(self) -> Job:
        return Job(
            promotion=self.promotion,
            operation=self.operation,  # type: ignore[arg-type]
            model_package_arn=self.model_package_arn,
            requested_by=self.requested_by,
            head=self.head,
        )


@dataclass(kw_only=True)
class Lease:
    endpoint: str
    holder: Holder
    version: int
    renewed: float


@dataclass(kw_only=True)
class Entry:
    """What is known of one promotion. `outcome` is set once it came to its end."""

    promotion: str
    version: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    trail: list[dict[str, Any]] = field(default_factory=list)
    outcome: dict[str, Any] | None = None

    @property
    def has_asked(self) -> bool:
        """Whether the update may have been heard: from here on a stop leaves everything as it is."""
        return bool(self.facts.get("submitting") or self.facts.get("ending"))


class Journal:
    def __init__(self, aws: Aws, *, endpoint: str, lease_seconds: int, run: str) -> None:
        self._aws = aws
        self._endpoint = endpoint
        self._seconds = lease_seconds
        self._run = run
        self._writer = uuid.uuid4().hex
        self._held_before = False

    @property
    def _lease_key(self) -> str:
        return f"LEASE#{self._endpoint}"

    def holder(self) -> Holder | None:
        item = self._aws.read_item(self._lease_key)
        return None if item is None else Holder(**item["body"])

    def acquire(self, job: Job) -> Lease | Holder:
        """Take the lease, or say who keeps it from us: another run of the same promotion.

        Raises:
            ConflictError: another promotion runs, or was left without an end after it had asked for the update.
            IntegrityError: the promotion is another package's, and without an end.
            LeaseLost: the promotion that was to be closed goes on; look again.
        """
        item = self._aws.read_item(self._lease_key)
        now = self._aws.now
        if item is not None:
            held = Holder(**item["body"])
            if held.promotion == job.promotion:
                if not held.finished and held.model_package_arn:
                    _refuse_other(held.promotion, vars(held), job)
                # A run that is started again goes on at once; a process that lost the lease follows whoever has it, even by its own name.
                ours = item["writer"] == self._writer or (held.run == self._run and not self._held_before)
                if not held.finished and held.until > now and not ours:
                    return held
            elif left := self._left_behind(held, now):
                self._put(left)  # a run of it that stood still finds its next write refused
        wanted = Holder(**vars(job), run=self._run, until=now + self._seconds, finished=False)
        try:
            version = self._write(self._lease_key, vars(wanted), expected=item["version"] if item else 0)
        except VersionConflict:
            return self.acquire(job)
        self._held_before = True
        return Lease(endpoint=self._endpoint, holder=wanted, version=version, renewed=now)

    def left_behind(self, job: Job) -> tuple[Holder, Entry] | None:
        """Another promotion that has the lease, which ran out before it had asked for the update; whoever comes may close it. Only reads.

        Raises:
            ConflictError: another promotion runs, or was left without an end after it had asked for the update.
        """
        held = self.holder()
        if held is None or held.promotion == job.promotion:
            return None
        entry = self._left_behind(held, self._aws.now)
        return None if entry is None else (held, entry)

    def check_idle(self) -> None:
        """Only reads.

        Raises:
            ConflictError: a promotion runs, or was left without an end after it had asked for the update.
        """
        held = self.holder()
        if held is not None:
            self._left_behind(held, self._aws.now)

    def _left_behind(self, held: Holder, now: float) -> Entry | None:
        """The entry of a promotion that was left before it had touched the endpoint; None if it came to its end."""
        if held.finished:
            return None
        entry = self.load(held.promotion) or Entry(promotion=held.promotion, facts=vars(held.job) if held.model_package_arn else {})
        if entry.outcome is not None:
            return None
        if held.until > now or entry.has_asked:
            raise self._conflict(held, now)
        return entry

    def _conflict(self, held: Holder, now: float) -> ConflictError:
        if held.until > now:
            return ConflictError(
                f"promotion {held.promotion} ({held.operation}) is under way, run by {held.run}",
                where=f"endpoint {self._endpoint}",
                remedy="Wait until it has ended; `lockstep status` shows it.",
            )
        return ConflictError(
            f"promotion {held.promotion} ({held.operation}) was left without an end after it had asked for the update",
            where=f"endpoint {self._endpoint}",
            remedy="Run that one again first: it resumes, and ends as released or rolled back.",
        )

    def renew(self, lease: Lease, *, force: bool = False) -> None:
        """Keep the lease, when a third of its time has passed.

        Raises:
            LeaseLost: it was taken over.
        """
        now = self._aws.now
        if not force and now - lease.renewed < self._seconds / 3:
            return
        self._write_lease(lease, Holder(**{**vars(lease.holder), "until": now + self._seconds}))
        lease.renewed = now

    def give_up(self, lease: Lease, *, finished: bool) -> None:
        """Let go of the lease. `finished=False` keeps other promotions out until this one has been run to its end."""
        self._write_lease(lease, Holder(**{**vars(lease.holder), "until": 0.0, "finished": finished}))

    def close(self, promotion: str) -> None:
        """Let go of the lease of a promotion that has ended, for a run that was killed before it could."""
        item = self._aws.read_item(self._lease_key)
        if item is None or item["body"]["promotion"] != promotion or item["body"]["finished"]:
            return
        with contextlib.suppress(VersionConflict):
            self._write(self._lease_key, {**item["body"], "until": 0.0, "finished": True}, expected=item["version"])

    def _write_lease(self, lease: Lease, holder: Holder) -> None:
        try:
            lease.version = self._write(self._lease_key, vars(holder), expected=lease.version)
        except VersionConflict as error:
            raise LeaseLost(lease.holder.promotion) from error
        lease.holder = holder

    def load(self, promotion: str) -> Entry | None:
        item = self._aws.read_item(promotion)
        return None if item is None else Entry(promotion=promotion, version=item["version"], **item["body"])

    def entry_of(self, job: Job) -> Entry | None:
        """The job's entry.

        Raises:
            IntegrityError: the promotion by that id is another package's, or another operation.
        """
        entry = self.load(job.promotion)
        if entry is not None and entry.facts.get("model_package_arn"):
            _refuse_other(entry.promotion, entry.facts, job)
        return entry

    def open(self, job: Job) -> Entry:
        """The job's entry, written once by this run, so that a former run's next write is refused, and bound to the job from then on.

        Raises:
            IntegrityError: the promotion by that id is another package's, or another operation.
        """
        entry = self.entry_of(job) or Entry(promotion=job.promotion)
        entry.facts = {**vars(job), **entry.facts}
        self._put(entry)
        return entry

    def record(self, entry: Entry, **facts: Any) -> None:
        entry.facts.update(facts)
        self._put(entry)

    def note(self, entry: Entry, call: str, on: str) -> None:
        """Write ahead that a call is about to be made."""
        entry.trail.append({"call": call, "on": on, "at": self._aws.now, "run": self._run})
        self._put(entry)

    def finish(self, entry: Entry, outcome: dict[str, Any]) -> None:
        entry.outcome = outcome
        self._put(entry)

    def _put(self, entry: Entry) -> None:
        body = {"facts": entry.facts, "trail": entry.trail, "outcome": entry.outcome}
        try:
            entry.version = self._write(entry.promotion, body, expected=entry.version)
        except VersionConflict as error:
            raise LeaseLost(entry.promotion) from error

    def _write(self, key: str, body: dict[str, Any], *, expected: int) -> int:
        return self._aws.write_item(key, body, expected=expected, writer=self._writer)


def _refuse_other(promotion: str, known: dict[str, Any], job: Job) -> None:
    if (known["operation"], known["model_package_arn"]) != (job.operation, job.model_package_arn):
        raise IntegrityError(
            f"promotion {promotion} is the {known['operation']} of {known['model_package_arn']}",
            where=f"promotion-id of {job.model_package_arn}",
            remedy="Nothing was changed. A promotion's id belongs to one package: register this one again, or find out who changed it.",
        )
