"""`lockstep approve`: a person who did not ask for a package lets it go live."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.errors import ConflictError, PreflightError
from lockstep.context import Json, console, emit

app = typer.Typer(rich_markup_mode=None)


@app.command()
def approve(
    environment: Annotated[str, typer.Option("--env", metavar="ENV", help="Environment whose package waits.")],
    model_package: Annotated[
        int | None, typer.Option("--model-package", metavar="N", min=1, help="Version; left out, the newest that waits.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the release that the approval starts.")] = True,
    json_: Json = False,
) -> None:
    """Approve a model package, which starts its release, and watch that.

    The caller must be another person than the one who asked for it: the session's name is compared, not only the role.

    Exit codes: 0 released, 1 failed, 4 rolled back, 5 unknown.

    \b
    Example: lockstep approve --env prod --model-package 3
    """
    from lockstep import promotions

    at = promotions.place(environment)
    arn = promotions.package_arn(at, model_package) if model_package else _waiting(at)
    described = at.sagemaker.describe_model_package(ModelPackageName=arn)
    state = described["ModelApprovalStatus"]
    if state != "PendingManualApproval":
        raise ConflictError(f"the package is {state}", where=arn, remedy="Only a package that waits for approval can be approved.")
    caller = promotions.as_metadata(at.caller())
    requester = described.get("CustomerMetadataProperties", {}).get("requested-by", "")
    if _person(caller) == _person(requester):
        raise PreflightError(
            f"{_person(caller)} asked for this package and can't approve it as well", where=arn, remedy="Somebody else must approve it."
        )
    known = promotions.release_runs(at, arn)
    at.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription=f"approved by {caller}"[:1024],
        CustomerMetadataProperties={"approved-by": caller},
    )
    if not json_:
        console.print(f"approved {arn}\n  by {caller}, asked for by {requester or 'nobody known'}")
    if not wait:
        if json_:
            emit({"state": "approved", "model_package_arn": arn, "approved_by": caller})
        return
    outcome = promotions.await_release(at, arn, None if json_ else promotions.show_step, known=known)
    if json_:
        emit({"state": "released", "model_package_arn": arn, "approved_by": caller, "promotion": outcome.promotion})
    else:
        console.print(f"released {arn} as {outcome.endpoint_config}")


def _waiting(at: object) -> str:
    from lockstep.promotions import Place, packages

    assert isinstance(at, Place)
    for package in packages(at):
        if package.get("ModelApprovalStatus") == "PendingManualApproval":
            return str(package["ModelPackageArn"])
    raise PreflightError("no package waits for approval", where=at.outputs.environment, remedy="Promote one first.")


def _person(arn: str) -> str:
    """Who an ARN names: of an assumed role the session, since the role is anybody's who may assume it."""
    return arn.rpartition("/")[2] or arn
