"""What the commands about promotions share: which run belongs to which promotion, how it ended, and how far it has come.

Commands start and watch. All that changes an endpoint happens in the release pipeline, so any of them may be interrupted.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.errors import ConflictError, LockstepError, OutcomeUnknown, PreflightError, UsageError
from infra.outputs import EnvironmentOutputs
from pipelines import executions
from pipelines.promotion import approval
from pipelines.promotion.evidence import Ledger
from pipelines.promotion.outcome import Outcome, parse_exit_message
from pipelines.promotion.people import Identity
from pipelines.promotion.seam import Aws

if TYPE_CHECKING:
    from pipelines.executions import StepState

RELEASE_APPEARS_SECONDS = 300
"""Service time within which an approval must have started the release pipeline."""

OnStep = Callable[["StepState"], None]


@dataclass(frozen=True)
class Place:
    """An environment as a command works in it."""

    outputs: EnvironmentOutputs
    session: Any

    @property
    def sagemaker(self) -> Any:
        return self.session.client("sagemaker")

    @property
    def aws(self) -> Aws:
        return Aws(self.session, table=self.outputs.promotion.journal_table_name)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.aws, self.outputs.buckets.ledger.name)

    def caller(self) -> str:
        return self.identity().arn

    def identity(self) -> Identity:
        """Who runs the command, as STS says."""
        said = self.session.client("sts").get_caller_identity()
        return Identity(principal_id=str(said["UserId"]), arn=str(said["Arn"]), read_from="GetCallerIdentity")


def place(environment: str) -> Place:
    from lockstep.context import outputs, session

    return Place(outputs(environment), session(environment))


def package_arn(at: Place, version: int) -> str:
    """ARN of a version of the environment's group.

    Raises:
        UsageError: there is no such version.
    """
    from botocore.exceptions import ClientError

    group = at.outputs.model_package_group_arn.replace(":model-package-group/", ":model-package/")
    arn = f"{group}/{version}"
    try:
        at.sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
            raise
        raise UsageError(
            f"{at.outputs.environment} has no model package {version}",
            where="--model-package",
            remedy=f"`lockstep models {at.outputs.environment}` lists those there are.",
        ) from error
    return arn


def packages(at: Place) -> list[dict[str, Any]]:
    """Summaries of the group's packages, newest version first."""
    pages = at.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=at.outputs.model_package_group_name)
    found = [package for page in pages for package in page["ModelPackageSummaryList"]]
    return sorted(found, key=lambda package: -int(package["ModelPackageVersion"]))


def version_of(arn: str) -> int:
    return int(arn.rpartition("/")[2])


def runs_of(at: Place, pipeline: str) -> list[str]:
    """ARNs of a pipeline's runs, newest first."""
    pages = at.sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending"
    )
    return [str(entry["PipelineExecutionArn"]) for page in pages for entry in page["PipelineExecutionSummaries"]]


def release_runs(at: Place, package: str, among: int = 50) -> list[str]:
    """Runs of the release pipeline for a package, newest first, of the latest `among`."""
    found = []
    for arn in runs_of(at, at.outputs.pipelines.release)[:among]:
        answer = at.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
        if any(p["Name"] == "ModelPackageArn" and p["Value"] == package for p in answer["PipelineParameters"]):
            found.append(arn)
    return found


def is_going(at: Place, run: str) -> bool:
    answer = at.sagemaker.describe_pipeline_execution(PipelineExecutionArn=run)
    return answer["PipelineExecutionStatus"] not in executions.ENDED


def start_release(at: Place, *, operation: str, package: str = "", token: str = "") -> str:
    """Start the release pipeline by hand; approvals start it by themselves."""
    make_sure_it_can_start(at)
    make_sure_of_images(at, at.outputs.pipelines.release)
    parameters = {"Operation": operation, "RequestedBy": at.caller()}
    if package:
        parameters["ModelPackageArn"] = package
    return executions.start(
        at.sagemaker,
        at.outputs.pipelines.release,
        parameters,
        executions.token(token or uuid.uuid4().hex, at.outputs.environment, operation),
    )


def watch_release(at: Place, arn: str, on_step: OnStep | None) -> Outcome:
    """Watch a run of the release pipeline to its end.

    Raises:
        LockstepError: what the run ended with: RolledBack, OutcomeUnknown, or what preflight found.
    """
    ended = executions.watch(at.sagemaker, arn, on_step)
    if not ended.succeeded:
        raise executions.explain(at.sagemaker, ended)
    step = ended.step("Release")
    job = (step.metadata.get("ProcessingJob") or {}).get("Arn", "") if step else ""
    message = at.sagemaker.describe_processing_job(ProcessingJobName=job.rpartition("/")[2]).get("ExitMessage") if job else None
    said = parse_exit_message(message)
    if isinstance(said, LockstepError):
        raise said
    if said is None:
        raise OutcomeUnknown("the run succeeded without saying how", where=arn, remedy="`lockstep status` shows what serves.")
    said.raise_unless_released()
    return said


def await_release(at: Place, package: str, on_step: OnStep | None, *, known: list[str], patience: float = 15.0) -> Outcome:
    """Wait until the approval of a package has started a release, and watch that.

    Args:
        known: runs that were there before the approval.
        patience: real seconds to wait at the least, however fast the service's clock runs.

    Raises:
        ConflictError: none has started within a bounded time.
    """
    aws = at.aws
    aws.identity()
    began, looked_since = aws.now, time.monotonic()
    while True:
        runs = [arn for arn in release_runs(at, package) if arn not in known]
        if runs:
            return watch_release(at, runs[-1], on_step)
        aws.identity()
        if aws.now - began > RELEASE_APPEARS_SECONDS and time.monotonic() - looked_since > patience:
            raise ConflictError(
                "the package is approved, but no release has started",
                where=package,
                remedy=f"Look at the EventBridge rule of {at.outputs.environment} (`pulumi up` mends it), then run the command again.",
            )
        time.sleep(0.5)


def finished(at: Place, package: str, promotion: str) -> dict[str, Any] | None:
    """The ledger's evidence of a promotion that ended, if it is of this package."""
    evidence = at.ledger.evidence(promotion)
    if evidence is not None and evidence.get("model_package_arn") != package:
        raise PreflightError("the ledger's evidence is of another package", where=f"promotion {promotion}", remedy="Look into the ledger.")
    return evidence


def show_step(state: StepState) -> None:
    """A line of progress. Why a step failed is said at the end, in the words of the job itself."""
    from lockstep.context import console

    console.print(f"  {state.name:<18} {state.status}")


def make_sure_it_can_start(at: Place) -> None:
    """Before a rollout is asked for: would UpdateEndpoint take it? What can't be told is said, and stops nothing.

    Raises:
        PreflightError: there is no room for a second fleet (`lockstep.quotas`), or the instance type can't change (`lockstep.scaled`).
    """
    from lockstep import quotas, scaled
    from lockstep.context import errors

    for check in (scaled.check, quotas.check):
        if unknown := check(at.session, at.outputs):
            errors.print(f"warning: {unknown}")


def make_sure_of_images(at: Place, pipeline: str) -> None:
    """Before a pipeline is started: does the environment have the images that it runs? What can't be told is said, and stops nothing.

    Raises:
        PreflightError: it does not.
    """
    from lockstep import readiness
    from lockstep.context import errors

    if unknown := readiness.check_images(at, pipeline):
        errors.print(f"warning: {unknown}")


def sign_request(at: Place, package: str) -> None:
    """Sign for having asked for a package that waits for approval, unless somebody has: nobody approves what nobody asked for."""
    described = at.sagemaker.describe_model_package(ModelPackageName=package)
    if described["ModelApprovalStatus"] != "PendingManualApproval":
        return
    if approval.REQUESTED not in described.get("CustomerMetadataProperties", {}):
        signature = {approval.REQUESTED: at.identity().principal_id}
        at.sagemaker.update_model_package(ModelPackageArn=package, CustomerMetadataProperties=signature)
