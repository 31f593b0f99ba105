"""What follows from a look at the endpoint: for every look and every history there is one answer, and never a lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.promotion.decisions import (
    DEAD_ENDS,
    IN_PROGRESS,
    EndpointView,
    Progress,
    Step,
    is_live,
    never_heard,
    next_step,
    superseded,
    verdict_due,
)

CONFIGS = ("ours", "former", "foreign")

views = st.builds(
    EndpointView,
    status=st.sampled_from(sorted(IN_PROGRESS | DEAD_ENDS | {"InService", "SomethingNew"})),
    config=st.sampled_from(CONFIGS),
    pending_config=st.sampled_from([None, *CONFIGS]),
    last_rollback_alarms=st.sampled_from([frozenset(), frozenset({"ours-errors"}), frozenset({"foreign-errors"})]),
    failure_reason=st.sampled_from([None, "", "alarms"]),
    modified=st.sampled_from([0.0, 100.0, 200.0]),
)
histories = st.builds(
    Progress,
    target=st.just("ours"),
    former=st.just("former"),
    marker=st.just("ours-errors"),
    submitted=st.booleans(),
    seen_pending=st.booleans(),
    reverting=st.booleans(),
    revert_asked=st.booleans(),
    seen_at=st.sampled_from([0.0, 100.0, 200.0]),
)


@given(views, histories)
def test_released_means_that_the_truth_test_holds(view: EndpointView, progress: Progress) -> None:
    if next_step(view, progress) is Step.RELEASED:
        assert is_live(view, "ours")


@given(views, histories)
def test_rolled_back_means_that_the_former_config_is_live_and_ours_was_tried(view: EndpointView, progress: Progress) -> None:
    if next_step(view, progress) is Step.ROLLED_BACK:
        assert is_live(view, "former")
        assert progress.revert_asked or progress.seen_pending or progress.marker in view.last_rollback_alarms


@given(views, histories)
def test_an_update_is_asked_for_only_at_rest_and_only_if_none_was(view: EndpointView, progress: Progress) -> None:
    step = next_step(view, progress)
    if step in {Step.UPDATE, Step.REVERT}:
        assert view.status == "InService"
        assert view.pending_config is None
    if step is Step.UPDATE:
        assert view.config == "former"
        assert not progress.submitted
        assert not progress.seen_pending
        assert progress.marker not in view.last_rollback_alarms
    if step is Step.REVERT:
        assert progress.reverting
        assert view.config == "ours"


@given(views, histories)
def test_what_somebody_else_did_is_never_taken_for_ours(view: EndpointView, progress: Progress) -> None:
    step = next_step(view, progress)
    if "foreign" in {view.config, view.pending_config} and not (view.config == "foreign" and view.pending_config is None):
        assert step not in {Step.UPDATE, Step.REVERT, Step.ROLLED_BACK, Step.RELEASED} or view.pending_config is None
    if view.status == "InService" and view.pending_config is None and view.config == "foreign":
        assert step in {Step.SOMEBODY_ELSE, Step.UNKNOWN, Step.OVERTAKEN, Step.WAIT}


@given(views, histories)
def test_a_reason_for_failure_decides_nothing(view: EndpointView, progress: Progress) -> None:
    """FailureReason is a hint: it stays after a rollback, can be empty after one, and is set for other causes too."""
    bare = EndpointView(**{**vars(view), "failure_reason": None})
    assert next_step(view, progress) is next_step(bare, progress)


@given(views, histories)
def test_dead_ends_and_states_that_nobody_knows_are_unknown(view: EndpointView, progress: Progress) -> None:
    if view.modified >= progress.seen_at:
        if view.status in DEAD_ENDS:
            assert next_step(view, progress) is Step.UNKNOWN
        if view.status == "SomethingNew" and view.pending_config is None:
            assert next_step(view, progress) is Step.UNKNOWN


@given(views, histories)
def test_an_answer_older_than_one_that_counted_decides_nothing(view: EndpointView, progress: Progress) -> None:
    if view.modified < progress.seen_at:
        assert next_step(view, progress) is Step.WAIT


AT_REST = EndpointView(status="InService", config="former", modified=100.0)
SEEN = Progress(target="ours", former="former", marker="ours-errors", submitted=True, seen_pending=True, seen_at=200.0)
BACK = replace(SEEN, reverting=True, seen_at=300.0)
OURS = frozenset({"ours-errors"})


@pytest.mark.parametrize(
    ("what", "view", "progress", "step"),
    [
        ("the last bake's alarm", replace(AT_REST, modified=250.0, last_rollback_alarms=OURS), SEEN, Step.ROLLED_BACK),
        ("the time limit of the deployment", replace(AT_REST, modified=250.0, failure_reason="time-out"), SEEN, Step.ROLLED_BACK),
        ("a rollback that only the marker proves", replace(AT_REST, modified=200.0, last_rollback_alarms=OURS), SEEN, Step.ROLLED_BACK),
        ("an answer from before the deployment", AT_REST, SEEN, Step.WAIT),
        ("at rest, and nothing proves that it is news", replace(AT_REST, modified=200.0), SEEN, Step.WAIT),
        ("UpdateRollbackFailed serves a mix", replace(AT_REST, status="UpdateRollbackFailed", modified=250.0), SEEN, Step.UNKNOWN),
        ("Failed", replace(AT_REST, status="Failed", modified=250.0), SEEN, Step.UNKNOWN),
        ("it is being deleted", replace(AT_REST, status="Deleting", modified=250.0), SEEN, Step.UNKNOWN),
        ("made anew on another config", replace(AT_REST, config="bootstrap", modified=250.0), SEEN, Step.OVERTAKEN),
        ("somebody's update after ours went live", replace(AT_REST, config="ours", pending_config="x", modified=250.0), SEEN, Step.UNKNOWN),
        ("somebody's update went live after ours", replace(AT_REST, config="foreign", modified=250.0), SEEN, Step.OVERTAKEN),
        ("autoscaling after the release", replace(AT_REST, config="ours", status="Updating", modified=250.0), SEEN, Step.WAIT),
        ("patched while live", replace(AT_REST, config="ours", status="SystemUpdating", modified=250.0), SEEN, Step.WAIT),
        ("live, to be taken back", replace(AT_REST, config="ours", modified=300.0), BACK, Step.REVERT),
        ("on its way back", replace(AT_REST, config="ours", pending_config="former", modified=300.0), BACK, Step.WATCH),
        ("back, though nobody asked yet", replace(AT_REST, modified=400.0), BACK, Step.WAIT),
        ("back, as asked", replace(AT_REST, modified=400.0), replace(BACK, revert_asked=True), Step.ROLLED_BACK),
        ("an answer from before it was live", replace(AT_REST, modified=250.0), replace(BACK, revert_asked=True), Step.WAIT),
        ("somebody else on the way back", replace(AT_REST, config="foreign", modified=400.0), BACK, Step.OVERTAKEN),
    ],
)
def test_what_an_endpoint_may_look_like_after_our_update(what: str, view: EndpointView, progress: Progress, step: Step) -> None:
    assert next_step(view, progress) is step, what


@pytest.mark.parametrize(("modified", "never"), [(999.9, True), (1000.0, False), (1000.5, False), (0.0, True)])
def test_an_update_that_died_on_the_lips_is_told_from_one_that_was_heard(modified: float, never: bool) -> None:
    assert never_heard(replace(AT_REST, modified=modified), asked_at=1000.0) is never


def test_an_answer_from_before_our_accepted_update_is_looked_at_again() -> None:
    stale = EndpointView(status="InService", config="former")
    progress = Progress(target="ours", former="former", marker="ours-errors", submitted=True)
    assert next_step(stale, progress) is Step.WAIT


@given(st.integers(0, 3600), st.floats(0, 7200))
def test_green_is_judged_early_enough_to_be_undone_and_not_before_half_time(wait: int, passed: float) -> None:
    due = verdict_due(stage="Baking", stage_started=1000.0, wait_seconds=wait, now=1000.0 + passed)
    if passed >= wait:
        assert due
    if passed < wait / 2 - 1e-6:
        assert not due
    assert not verdict_due(stage="Creating", stage_started=1000.0, wait_seconds=wait, now=9000.0)


@given(
    st.frozensets(st.sampled_from(["dev-release-1", "dev-release-2", "dev-release-3", "dev-bootstrap", "dev-releaser"])),
    st.frozensets(st.sampled_from(["dev-release-1", "dev-release-2"])),
)
def test_only_what_releases_made_is_superseded_and_never_what_is_kept(names: frozenset[str], kept: frozenset[str]) -> None:
    gone = superseded(names=names, kept=kept, prefix="dev-release-")
    assert set(gone) == {name for name in names if name.startswith("dev-release-")} - kept
