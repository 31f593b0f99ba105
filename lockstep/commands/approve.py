"""`lockstep approve`: a person who did not ask for a package lets it go live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import ConflictError, PreflightError
from lockstep.context import EnvironmentName, Json, console, emit, target

if TYPE_CHECKING:
    from pipelines.promotion.people import Identity

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def approve(
    environment: EnvironmentName,
    model_package: Annotated[
        int | None, typer.Option("--model-package", metavar="N", min=1, help="Version; left out, the newest that waits.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the release that the approval starts.")] = True,
    as_json: Json = False,
) -> None:
    """Approve a model package, which starts its release, and watch that.

    The caller must be another person than the one who asked for it, by what AWS says of both: persons are compared (source identity,
    session or user name), not roles. The approval is signed; nobody can sign for another.

    Exit codes: 0 released, 1 failed, 4 rolled back, 5 unknown.

    \b
    Example: lockstep approve prod --model-package 3
    """
    from lockstep import promotions
    from pipelines.promotion import approval
    from pipelines.promotion.candidate import Candidate

    at = promotions.place(environment)
    arn = promotions.package_arn(at, model_package) if model_package else _waiting(at)
    described = at.sagemaker.describe_model_package(ModelPackageName=arn)
    state = described["ModelApprovalStatus"]
    if state != "PendingManualApproval":
        raise ConflictError(f"the package is {state}", where=arn, remedy="Only a package that waits for approval can be approved.")
    candidate, who = Candidate.parse(described), at.identity()
    asked = approval.requesters(candidate, at.aws.execution(candidate.generated_by))
    if problem := approval.refusal(at.outputs, who, asked):
        raise PreflightError(problem, where=arn, remedy=_remedy(environment, who, asked))
    promotions.make_sure_it_can_start(at)
    promotions.make_sure_of_images(at, at.outputs.pipelines.release)
    known = promotions.release_runs(at, arn)
    at.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription=f"approved by {who}"[:1024],
        CustomerMetadataProperties={approval.APPROVED: who.principal_id},
    )
    if not as_json:
        console.print(f"approved {arn}\n  by {who}, asked for by {', '.join(str(each) for each in asked)}")
    if not wait:
        if as_json:
            emit({"state": "approved", "model_package_arn": arn, "approved_by": str(who)})
        return
    outcome = promotions.await_release(at, arn, None if as_json else promotions.show_step, known=known)
    if as_json:
        emit({"state": "released", "model_package_arn": arn, "approved_by": str(who), "promotion": outcome.promotion})
    else:
        console.print(f"released {arn} as {outcome.endpoint_config}")


def _waiting(at: object) -> str:
    from lockstep.promotions import Place, packages

    assert isinstance(at, Place)
    for package in packages(at):
        if package.get("ModelApprovalStatus") == "PendingManualApproval":
            return str(package["ModelPackageArn"])
    raise PreflightError("no package waits for approval", where=at.outputs.environment, remedy="Promote one first.")


def _remedy(environment: str, who: Identity, asked: tuple[Identity, ...]) -> str:
    from lockstep.aws import PERSON_VARIABLE

    if not who.names:
        return "Sign in with a session that carries your name (`role_session_name` in the AWS profile, or a source identity)."
    if not asked:
        return f"Run the `lockstep promote` (or `pipeline run {environment} training`) that registered it again: it signs for having asked."
    here = f": say who acts here with {PERSON_VARIABLE}=NAME before the command" if target() == "local" else ""
    return f"Somebody else must approve it{here}."
