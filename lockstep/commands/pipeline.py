"""`lockstep pipeline`: compile the definitions, run a pipeline, look at its runs."""

from __future__ import annotations

import difflib
import json
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import PreflightError, UsageError
from lockstep.context import EnvironmentName, Json, console, emit, outputs, project_root, session
from lockstep.failures import explain

if TYPE_CHECKING:
    from infra.outputs import EnvironmentOutputs
    from pipelines.executions import StepState

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Compile, run and watch pipelines.")

NAMES = ("training", "admit", "release")
Pipeline = Annotated[str, typer.Argument(metavar="PIPELINE", help="training, admit or release.")]


@app.command("compile")
def compile_(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a committed file is not current.")] = False,
    toolkit: Annotated[bool, typer.Option("--toolkit", help="Only the toolkit image's digest, which needs no SDK.")] = False,
    as_json: Json = False,
) -> None:
    """Compile the pipelines with the SageMaker SDK, and take the toolkit image's digest, into pipelines/definitions/.

    \b
    Example: lockstep pipeline compile
    """
    from lockstep import definitions

    root = project_root()
    files = {definitions.TOOLKIT: definitions.toolkit_text(root)} if toolkit else definitions.compile_files(root)
    stale = definitions.stale(root, files)
    if not check:
        for path in stale:
            (root / path).write_text(files[path], encoding="utf-8")
    if as_json:
        emit({"files": sorted(files), "stale": stale, "written": [] if check else stale})
    else:
        for path in files:
            console.print(f"{path}  {('stale' if check else 'written') if path in stale else 'current'}")
    if check and stale:
        raise typer.Exit(1)


@app.command()
def run(
    environment: EnvironmentName,
    pipeline: Pipeline,
    param: Annotated[list[str] | None, typer.Option("--param", help="A pipeline parameter as NAME=VALUE; may be repeated.")] = None,
    image: Annotated[str, typer.Option("--image", help="Digest of the image to train with; left out, that of the present source.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch the run to its end.")] = True,
    token: Annotated[str, typer.Option("--token", help="Makes the start idempotent: the same token, the same run.")] = "",
    as_json: Json = False,
) -> None:
    """Start a pipeline. Training takes the present source's image and the environment's present data unless told otherwise.

    Exit codes: 0 succeeded, 1 failed, 3 a gate refused.

    \b
    Example: lockstep pipeline run dev training --wait
    """
    from lockstep import promotions
    from pipelines import executions

    found, used = outputs(environment), session(environment)
    given, name, client = _parse(param or []), _name(found, pipeline), used.client("sagemaker")
    known = _parameters(client, name)
    _refuse_unknown(pipeline, given, known)
    parameters = {**_training_defaults(found, used, image, given), **given} if pipeline == "training" else given
    _refuse_missing(pipeline, parameters, known)
    arn = executions.start(client, name, parameters, executions.token(token or uuid.uuid4().hex, pipeline))
    if not as_json:
        console.print(f"started {arn}")
    if not wait:
        if as_json:
            emit({"execution": arn, "status": "Executing"})
        return
    outcome = executions.watch(client, arn, None if as_json else _show)
    error = None if outcome.succeeded else executions.explain(client, outcome)
    package = executions.registered_package(client, outcome)
    if package and found.promotion.approval == "manual":
        promotions.sign_request(promotions.Place(found, used), package)
    if as_json:
        told = explain(error) if error else None
        report = {**_report(arn, outcome.status, outcome.failure_reason, outcome.steps), "model_package_arn": package}
        emit({**report, "error": told.document()} if told else report)
        raise typer.Exit(error.exit_code if error else 0)
    if error is not None:
        raise error
    console.print(f"{outcome.status}" + (f": {package}" if package else ""))


@app.command()
def status(
    environment: EnvironmentName,
    pipeline: Pipeline,
    execution: Annotated[str, typer.Option("--execution", help="ARN of a run; left out, the newest.")] = "",
    as_json: Json = False,
) -> None:
    """Show a run of a pipeline, step by step.

    \b
    Example: lockstep pipeline status dev training
    """
    from pipelines import executions

    client = session(environment).client("sagemaker")
    arn = execution or _newest(client, _name(outputs(environment), pipeline))
    described = client.describe_pipeline_execution(PipelineExecutionArn=arn)
    states = executions.steps(client, arn)
    if as_json:
        emit(_report(arn, described["PipelineExecutionStatus"], described.get("FailureReason", ""), states))
        return
    console.print(f"{arn}  {described['PipelineExecutionStatus']}")
    for state in states:
        _show(state)


def _name(found: EnvironmentOutputs, pipeline: str) -> str:
    if pipeline not in NAMES:
        raise UsageError(f"there is no pipeline {pipeline!r}", where="PIPELINE", remedy=f"Known: {', '.join(NAMES)}.")
    return str(getattr(found.pipelines, pipeline))


def _newest(client: Any, name: str) -> str:
    answer = client.list_pipeline_executions(PipelineName=name, SortBy="CreationTime", SortOrder="Descending", MaxResults=1)
    if not answer["PipelineExecutionSummaries"]:
        raise PreflightError("the pipeline has not run yet", where=name, remedy="Start it with `lockstep pipeline run`.")
    return str(answer["PipelineExecutionSummaries"][0]["PipelineExecutionArn"])


def _parse(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} is no NAME=VALUE", where="--param", remedy="Write it as --param NAME=VALUE.")
        found[name] = value
    return found


def _parameters(client: Any, name: str) -> dict[str, bool]:
    """The parameters of the pipeline as it is deployed, and whether each must be given."""
    definition = json.loads(client.describe_pipeline(PipelineName=name)["PipelineDefinition"])
    return {each["Name"]: "DefaultValue" not in each for each in definition.get("Parameters", [])}


def _refuse_unknown(pipeline: str, given: dict[str, str], known: dict[str, bool]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"the pipeline {pipeline} has no parameter {name!r}", where="--param", remedy=f"{meant}Its parameters: {', '.join(known)}."
            )


def _refuse_missing(pipeline: str, parameters: dict[str, str], known: dict[str, bool]) -> None:
    missing = [name for name, needed in known.items() if needed and name not in parameters]
    if missing:
        raise UsageError(
            f"the pipeline {pipeline} needs {', '.join(missing)}",
            where="--param",
            remedy="Give each as --param NAME=VALUE." + (" `lockstep promote` starts an admission." if pipeline == "admit" else ""),
        )


def _training_defaults(found: EnvironmentOutputs, used: Any, image: str, given: dict[str, str]) -> dict[str, str]:
    from botocore.exceptions import ClientError

    from lockstep import datasets
    from lockstep.images import settings
    from lockstep.images.sources import workload_image
    from pipelines import baseline

    root = project_root()
    parameters = {"RequestedBy": str(used.client("sts").get_caller_identity()["Arn"])}
    if "ImageUri" not in given:
        digest = image or workload_image(root, found.workload, base=settings.base_of(root, found.workload)).digest
        try:
            used.client("ecr").describe_images(repositoryName=found.repositories.workload.name, imageIds=[{"imageDigest": digest}])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ImageNotFoundException":
                raise
            raise PreflightError(
                f"{found.environment} does not have the image {digest[:19]}",
                where=found.repositories.workload.uri,
                remedy=f"Push it with `lockstep image push {found.environment} {found.workload}`.",
            ) from error
        parameters["ImageUri"] = f"{found.repositories.workload.uri}@{digest}"
    if "DataUri" not in given:
        data = datasets.current(used, found, "datasets", found.workload)
        parameters |= {"DataUri": data["uri"], "DataVersion": data["sha256"]}
    if "BaselineVersion" not in given:
        accepted = baseline.read(used.client("s3"), found.buckets.artefacts.name, baseline.key(found.workload))
        parameters["BaselineVersion"] = baseline.version(accepted)
    if "GoldenUri" not in given:
        golden = datasets.current(used, found, "golden", found.workload)
        parameters |= {"GoldenUri": golden["uri"], "GoldenSha256": golden["sha256"]}
    return parameters


def _report(arn: str, status: str, reason: str, states: tuple[StepState, ...]) -> dict[str, Any]:
    listed = [{"name": each.name, "status": each.status, "reason": each.reason, "cached": each.cache_hit} for each in states]
    return {"execution": arn, "status": status, "reason": reason, "steps": listed}


def _show(state: StepState) -> None:
    mark = " (from the cache)" if state.cache_hit else ""
    console.print(f"  {state.name:<18} {state.status}{mark}" + (f": {state.reason}" if state.reason else ""))
