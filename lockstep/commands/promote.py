"""`lockstep promote`: start an admission in the target environment, and watch it and the release that follows."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import ConfigError, LockstepError, PreflightError, UsageError
from lockstep.context import Json, console, emit
from lockstep.failures import explain

if TYPE_CHECKING:
    from lockstep.promotions import OnStep, Place

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def promote(
    source: Annotated[str, typer.Option("--from", metavar="ENV", help="Environment that the package is in.")],
    target: Annotated[str, typer.Option("--to", metavar="ENV", help="Environment that it is to serve in.")],
    model_package: Annotated[
        int | None, typer.Option("--model-package", metavar="N", min=1, help="Version in the source's group; left out, the newest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Promote a model package from one environment to the next: verify, copy, judge, register, release.

    The command starts and watches; it may be interrupted and called again. Where approval is manual it ends once the package waits for it.

    Exit codes: 0 released or waiting for approval, 1 failed, 3 a gate refused, 4 rolled back, 5 unknown.

    \b
    Example: lockstep promote --from dev --to staging
    """
    from lockstep import promotions

    if source == target:
        raise UsageError("source and target are the same environment", where="--from, --to", remedy="Name two.")
    origin, goal = promotions.place(source), promotions.place(target)
    declared = goal.outputs.promotion.source
    if declared is None or declared.environment != source:
        raise ConfigError(
            f"{target} admits from {declared.environment if declared else 'nowhere'}, not from {source}",
            where=f"stack file of {target}",
            remedy="Promote along the declared chain.",
        )
    package = promotions.package_arn(origin, model_package) if model_package else _newest(origin)
    say = None if as_json else promotions.show_step
    if not as_json:
        console.print(f"promoting {package}\n  from {source} to {target}")
    try:
        result = _run(origin, goal, package, say)
    except LockstepError as error:
        if as_json:
            told = explain(error)
            emit({"source_model_package_arn": package, "error": told.document() if told else str(error)})
            raise typer.Exit(error.exit_code) from error
        raise
    if as_json:
        emit({"source_model_package_arn": package, **result})
    elif result["state"] == "pending-approval":
        console.print(f"registered {result['model_package_arn']}\nit waits for approval: `lockstep approve {target}`")
    elif result["state"] == "already-released":
        console.print(f"{target} has released this package already, as {result['model_package_arn']}")
    else:
        console.print(f"released {result['model_package_arn']} as {result['endpoint_config']}")


def _newest(origin: Place) -> str:
    from lockstep import promotions

    for package in promotions.packages(origin):
        if package.get("ModelApprovalStatus") != "Rejected" and package.get("ModelPackageStatus") == "Completed":
            return str(package["ModelPackageArn"])
    name, before = origin.outputs.environment, origin.outputs.promotion.source
    raise PreflightError(
        f"{name} has no model package",
        where=origin.outputs.model_package_group_name,
        remedy=f"Promote one into it: `lockstep promote --from {before.environment} --to {name}`."
        if before
        else f"Train one: `lockstep pipeline run {name} training`.",
    )


def _run(origin: Place, goal: Place, package: str, say: OnStep | None) -> dict[str, Any]:
    """Go through the attempts: one that is under way is followed, one that ended without a release makes room for the next."""
    from lockstep import datasets, promotions
    from pipelines import executions
    from pipelines.promotion.candidate import Candidate
    from pipelines.promotion.names import promotion_id

    described = origin.sagemaker.describe_model_package(ModelPackageName=package)
    candidate = Candidate.parse(described)
    digest = candidate.image_name.digest
    golden = datasets.current(goal.session, goal.outputs, "golden", goal.outputs.workload)
    parameters = {
        "SourceModelPackageArn": package,
        "SourceImageUri": candidate.image,
        "ImageUri": f"{goal.outputs.repositories.workload.uri}@{digest}",
        "GoldenUri": golden["uri"],
        "GoldenSha256": golden["sha256"],
        "RequestedBy": goal.caller(),
    }
    before = promotions.runs_of(goal, goal.outputs.pipelines.admit)
    for attempt in count(1):
        identifier = promotion_id(environment=goal.outputs.environment, source_model_package_arn=package, attempt=attempt)
        run = _admission(goal, identifier, {**parameters, "PromotionId": identifier})
        is_new = run not in before or promotions.is_going(goal, run)
        ended = executions.watch(goal.sagemaker, run, say if is_new else None)
        if not ended.succeeded:
            if is_new:
                raise executions.explain(goal.sagemaker, ended)
            continue
        admitted = executions.registered_package(goal.sagemaker, ended)
        if admitted is None:
            raise LockstepError(
                "the admission registered no package", where=run, remedy=f"`lockstep pipeline status {goal.outputs.environment} admit`."
            )
        evidence = promotions.finished(goal, admitted, identifier)
        if evidence is not None and evidence["outcome"] == "released":
            return {
                "state": "already-released",
                "promotion": identifier,
                "model_package_arn": admitted,
                "release": evidence["release_number"],
            }
        if evidence is not None:
            continue
        approval = goal.sagemaker.describe_model_package(ModelPackageName=admitted)["ModelApprovalStatus"]
        if approval == "Rejected":
            continue
        if approval != "Approved":
            promotions.sign_request(goal, admitted)
            return {"state": "pending-approval", "promotion": identifier, "model_package_arn": admitted}
        return _release(goal, admitted, say)
    raise AssertionError("unreachable: attempts have no end")


def _admission(goal: Place, identifier: str, parameters: dict[str, str]) -> str:
    """Start the admission; the same promotion id is the same run, also if it is asked for by somebody else with other words."""
    from lockstep import promotions
    from pipelines import executions
    from pipelines.promotion.names import client_token

    for run in promotions.runs_of(goal, goal.outputs.pipelines.admit):
        answer = goal.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=run)
        if any(p["Name"] == "PromotionId" and p["Value"] == identifier for p in answer["PipelineParameters"]):
            return run
    promotions.make_sure_it_can_start(goal)
    promotions.make_sure_of_images(goal, goal.outputs.pipelines.admit)
    return executions.start(goal.sagemaker, goal.outputs.pipelines.admit, parameters, client_token(identifier))


def _release(goal: Place, admitted: str, say: OnStep | None) -> dict[str, Any]:
    """Follow the release that the approval started. One that stopped before it changed anything is started again."""
    from lockstep import promotions

    runs = promotions.release_runs(goal, admitted)
    going = [run for run in runs if promotions.is_going(goal, run)]
    if going:
        outcome = promotions.watch_release(goal, going[0], say)
    elif runs:
        again = promotions.start_release(goal, operation="release", package=admitted, token=f"{admitted} {len(runs)}")
        outcome = promotions.watch_release(goal, again, say)
    else:
        outcome = promotions.await_release(goal, admitted, say, known=[])
    return {
        "state": "released",
        "promotion": outcome.promotion,
        "model_package_arn": outcome.model_package_arn,
        "endpoint_config": outcome.endpoint_config,
    }
