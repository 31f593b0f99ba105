"""Who may change an endpoint, and what a promotion has done: a DynamoDB table with conditional writes.

Two kinds of items. `LEASE#<endpoint>` says which run of which promotion may act, until when, and whether that promotion came to an end.
`<promotion id>` keeps the promotion's plan, its facts and the trail of its calls. Each item carries a version that every write expects and
raises, and names the process that wrote it; that is the fencing token: a run that was taken over finds its next write refused, and so
makes no more calls. The one that it may have been about to make is harmless whenever it comes: no name is used again after its deletion.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from infra.errors import ConflictError
from pipelines.promotion.seam import Aws, VersionConflict


class LeaseLost(Exception):
    """Another run has taken over; this one must stop acting."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has the lease: `until` is service time, epoch seconds; `finished` is False while the promotion's end is not recorded."""

    promotion: str
    operation: str
    run: str
    until: float
    finished: bool


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

    def acquire(self, promotion: str, operation: str) -> Lease | Holder:
        """Take the lease, or say who keeps it from us: another run of the same promotion.

        Raises:
            ConflictError: another promotion runs, or was left without an end.
        """
        item = self._aws.read_item(self._lease_key)
        now = self._aws.now
        if item is not None:
            held = Holder(**item["body"])
            if held.promotion == promotion:
                # A run that is started again goes on at once; a process that lost the lease follows whoever has it, even by its own name.
                ours = item["writer"] == self._writer or (held.run == self._run and not self._held_before)
                if not held.finished and held.until > now and not ours:
                    return held
            else:
                self._refuse_unfinished(held, now)
        wanted = Holder(promotion=promotion, operation=operation, run=self._run, until=now + self._seconds, finished=False)
        try:
            version = self._write(self._lease_key, vars(wanted), expected=item["version"] if item else 0)
        except VersionConflict:
            return self.acquire(promotion, operation)
        self._held_before = True
        return Lease(endpoint=self._endpoint, holder=wanted, version=version, renewed=now)

    def check_idle(self) -> None:
        """Only reads.

        Raises:
            ConflictError: a promotion runs, or was left without an end.
        """
        held = self.holder()
        if held is not None:
            self._refuse_unfinished(held, self._aws.now)

    def _refuse_unfinished(self, held: Holder, now: float) -> None:
        if not held.finished and not self._has_ended(held.promotion):
            raise self._conflict(held, now)

    def _conflict(self, held: Holder, now: float) -> ConflictError:
        if held.until > now:
            return ConflictError(
                f"promotion {held.promotion} ({held.operation}) is under way, run by {held.run}",
                where=f"endpoint {self._endpoint}",
                remedy="Wait until it has ended; `lockstep status` shows it.",
            )
        return ConflictError(
            f"promotion {held.promotion} ({held.operation}) was left without an end",
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

    def _has_ended(self, promotion: str) -> bool:
        entry = self.load(promotion)
        return entry is not None and entry.outcome is not None

    def _write_lease(self, lease: Lease, holder: Holder) -> None:
        try:
            lease.version = self._write(self._lease_key, vars(holder), expected=lease.version)
        except VersionConflict as error:
            raise LeaseLost(lease.holder.promotion) from error
        lease.holder = holder

    def load(self, promotion: str) -> Entry | None:
        item = self._aws.read_item(promotion)
        return None if item is None else Entry(promotion=promotion, version=item["version"], **item["body"])

    def open(self, promotion: str) -> Entry:
        """The promotion's entry, written once by this run, so that a former run's next write is refused."""
        entry = self.load(promotion) or Entry(promotion=promotion)
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
