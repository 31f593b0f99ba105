"""What to do next with an endpoint, decided from what the service says and what this promotion has journalled.

UpdateEndpoint has no idempotency token, so whether to call it can only be told from DescribeEndpoint. And its success is not what waiters
take for it: a rollout that was rolled back ends InService as well. A release is live when the endpoint is InService, AND names the
requested config, AND has no pending deployment. A look may be older than one before it, since DescribeEndpoint promises no order: an
answer that was last modified before one on which a decision was recorded decides nothing, and a rollback needs an answer that proves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
DEAD_ENDS = frozenset({"Failed", "OutOfService", "Deleting", "UpdateRollbackFailed"})

ASK_AGAIN_SECONDS = 60
"""Service time after which a look shows an update that was heard; sooner, nobody asks for the same again."""


@dataclass(frozen=True, kw_only=True)
class EndpointView:
    """One look at an endpoint. `stage` is the green variant's status in a pending deployment; `stage_started` and `modified`, the
    endpoint's LastModifiedTime, are epoch seconds."""

    status: str
    config: str
    pending_config: str | None = None
    stage: str | None = None
    stage_started: float | None = None
    last_rollback_alarms: frozenset[str] = frozenset()
    desired_count: int | None = None
    failure_reason: str | None = None
    modified: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the journal knows of one promotion's rollout.

    Attributes:
        target: the endpoint config that this promotion wants live.
        former: the one that was live when it began.
        marker: an alarm that only this promotion's UpdateEndpoint lists, by which a past call is recognised.
        submitted: UpdateEndpoint was answered with success.
        seen_pending: the deployment of `target` was seen under way.
        reverting: the release went live and then failed its checks; `former` is to be live again.
        revert_asked: the UpdateEndpoint of the way back was about to be sent.
        seen_at: LastModifiedTime of the newest look on which `seen_pending` or `reverting` was recorded.
    """

    target: str
    former: str
    marker: str
    submitted: bool = False
    seen_pending: bool = False
    reverting: bool = False
    revert_asked: bool = False
    seen_at: float = 0.0


class Step(Enum):
    """What follows from a look at the endpoint."""

    UPDATE = "ask for the update"
    WATCH = "our update is under way: watch it"
    WAIT = "look again: the service has not settled"
    RELEASED = "the requested config is live"
    ROLLED_BACK = "the former config is live again"
    REVERT = "ask for the former config"
    SOMEBODY_ELSE = "another update is under way"
    OVERTAKEN = "after ours somebody else's config went live"
    UNKNOWN = "the outcome can't be told"


def next_step(view: EndpointView, progress: Progress) -> Step:
    """The one step that follows. Pure and total: every view has an answer."""
    if view.modified < progress.seen_at:
        return Step.WAIT
    if progress.reverting:
        return _next_step_back(view, progress)
    ours_was_accepted = progress.seen_pending or progress.marker in view.last_rollback_alarms
    if view.status in DEAD_ENDS:
        return Step.UNKNOWN
    if view.pending_config is not None and view.pending_config != progress.target:
        return Step.UNKNOWN if progress.submitted or ours_was_accepted else Step.SOMEBODY_ELSE
    if view.pending_config == progress.target:
        return Step.WATCH
    if view.status in IN_PROGRESS:
        return Step.WAIT
    if view.status != "InService":
        return Step.UNKNOWN
    if view.config == progress.target:
        return Step.RELEASED
    if view.config != progress.former:
        return Step.OVERTAKEN if progress.submitted or ours_was_accepted else Step.SOMEBODY_ELSE
    if ours_was_accepted:
        proved = progress.marker in view.last_rollback_alarms or view.modified > progress.seen_at
        return Step.ROLLED_BACK if proved else Step.WAIT
    return Step.WAIT if progress.submitted else Step.UPDATE


def _next_step_back(view: EndpointView, progress: Progress) -> Step:
    if view.status in DEAD_ENDS:
        return Step.UNKNOWN
    if view.pending_config is not None:
        return Step.WATCH if view.pending_config == progress.former else Step.UNKNOWN
    if view.status in IN_PROGRESS:
        return Step.WAIT
    if view.status != "InService":
        return Step.UNKNOWN
    if view.config == progress.former:
        return Step.ROLLED_BACK if progress.revert_asked else Step.WAIT
    return Step.REVERT if view.config == progress.target else Step.OVERTAKEN


def never_heard(view: EndpointView, *, asked_at: float) -> bool:
    """Whether an update that was about to be asked for at `asked_at` is known not to have been made, `ASK_AGAIN_SECONDS` later and with the
    endpoint at rest: it was last modified before. Service time, epoch seconds."""
    return view.modified < asked_at


def is_live(view: EndpointView, config: str) -> bool:
    """The truth test."""
    return view.status == "InService" and view.config == config and view.pending_config is None


def verdict_due(*, stage: str | None, stage_started: float | None, wait_seconds: int, now: float) -> bool:
    """Whether green must have had its minimum of requests by now: so long before the bake ends that an alarm can still undo it.

    Metrics appear within a minute or two and the alarm is evaluated each minute, so two minutes before the end, or at half time of a bake
    shorter than four minutes.
    """
    if stage != "Baking" or stage_started is None:
        return False
    return now >= stage_started + max(wait_seconds - 120, wait_seconds / 2)


def superseded(*, names: frozenset[str], kept: frozenset[str], prefix: str) -> tuple[str, ...]:
    """Of resources found by name, those that a release made and nothing refers to any more, in order."""
    return tuple(sorted(name for name in names if name.startswith(prefix) and name not in kept))
