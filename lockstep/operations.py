"""The three operations that take their package from the ledger: redeploy, restore, rollback."""

from __future__ import annotations

from lockstep import promotions, readiness
from lockstep.context import console, emit


def run(environment: str, operation: str, *, as_json: bool) -> None:
    """Start the release pipeline with an operation, watch it, and say how it ended.

    Raises:
        PreflightError: the ledger knows nothing to release, or an image is missing; nothing was started.
        LockstepError: what the run ended with.
    """
    at = promotions.place(environment)
    readiness.check_ledger(at, operation)
    arn = promotions.start_release(at, operation=operation)
    if not as_json:
        console.print(f"{operation} of {environment}: {arn}")
    outcome = promotions.watch_release(at, arn, None if as_json else promotions.show_step)
    if as_json:
        emit({"state": outcome.ending, **vars(outcome), "execution": arn})
        return
    console.print(
        f"{outcome.model_package_arn} serves as {outcome.endpoint_config}" + "".join(f" ({reason})" for reason in outcome.reasons)
    )
