"""The commands, on the embedded cloud: what they print, and with which exit code they end.

The pipelines here are stand-ins of one step that leave the message which a job of the real ones leaves; the real ones run in the tests of
the whole path.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.errors import ConflictError, LockstepError, OutcomeUnknown, PreflightError, RolledBack, UsageError
from lockstep import promotions
from lockstep.commands import approve, invoke, models, pipeline, redeploy, restore, rollback, status
from pipelines.promotion.outcome import Outcome, exit_message
from tests.cloud.images import push_image
from tests.promotion.site import Site

SAYS = """
import os, pathlib, sys
folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "output"
folder.mkdir(parents=True, exist_ok=True)
operation = sys.argv[1]
message, code = {messages}[operation]
(folder / "message").write_text(message)
sys.exit(code)
"""

RELEASED = Outcome(promotion="p", operation="restore", ending="released", endpoint_config="config-1", model_package_arn="package/1", at=0.0)


@pytest.fixture(scope="module")
def place(site: Site) -> PlaceOf:
    """The site as a command sees it, with a release pipeline whose step says how each operation ended."""
    messages = {
        "release": (exit_message(RELEASED), 0),
        "restore": (exit_message(RELEASED), 0),
        "redeploy": (exit_message(RolledBack("it was rolled back", where="package/1", remedy="look")), 4),
        "rollback": (exit_message(OutcomeUnknown("nobody knows", where="endpoint", remedy="look")), 5),
    }
    image = push_image(site.session, "says", {"say.py": SAYS.replace("{messages}", repr(messages))})
    definition = {
        "Version": "2020-12-01",
        "Parameters": [
            {"Name": name, "Type": "String", "DefaultValue": default}
            for name, default in (("ModelPackageArn", "none"), ("Operation", "release"), ("RequestedBy", "nobody"))
        ],
        "Steps": [
            {
                "Name": "Release",
                "Type": "Processing",
                "Arguments": {
                    "AppSpecification": {
                        "ImageUri": image,
                        "ContainerEntrypoint": ["python", "/opt/program/say.py"],
                        "ContainerArguments": [{"Get": "Parameters.Operation"}],
                    },
                    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
                    "RoleArn": site.outputs.roles.jobs,
                },
            }
        ],
    }
    site.sagemaker.create_pipeline(
        PipelineName=site.outputs.pipelines.release,
        PipelineDefinition=json.dumps(definition),
        RoleArn=site.outputs.roles.jobs,
        ClientRequestToken="0" * 32,
    )
    return PlaceOf(site.outputs, site.person("approver"), site)


@dataclass(frozen=True)
class PlaceOf(promotions.Place):
    site: Site

    def of(self, person: str) -> PlaceOf:
        return PlaceOf(self.outputs, self.site.person(person), self.site)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, place: PlaceOf) -> None:
    monkeypatch.setattr(promotions, "place", lambda environment: place)


def call(module: Any, *arguments: str) -> str:
    """Standard output of a command. Errors come out as raised: `lockstep.main` turns them into exit codes."""
    result = CliRunner().invoke(module.app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def two_releases(site: Site) -> tuple[str, str]:
    """Packages of the ledger's first two releases."""
    return release(site, "one"), release(site, "two")


@pytest.mark.usefixtures("two_releases")
@pytest.mark.parametrize(("module", "error"), [(redeploy, RolledBack), (rollback, OutcomeUnknown)])
def test_how_a_release_ended_is_how_the_command_ends(module: Any, error: type[LockstepError]) -> None:
    with pytest.raises(error) as raised:
        call(module, "dev")
    assert raised.value.exit_code == error.exit_code
    assert raised.value.remedy == "look"


@pytest.mark.usefixtures("two_releases")
def test_a_restore_that_went_live_says_what_serves() -> None:
    assert json.loads(call(restore, "dev", "--json"))["endpoint_config"] == "config-1"


def with_outputs(place: PlaceOf, monkeypatch: pytest.MonkeyPatch, **parts: dict[str, Any]) -> PlaceOf:
    """The command's environment with some of its outputs changed."""
    document = place.outputs.model_dump()
    for name, change in parts.items():
        document[name] |= change
    changed = PlaceOf(type(place.outputs).model_validate(document), place.session, place.site)
    monkeypatch.setattr(promotions, "place", lambda environment: changed)
    return changed


@pytest.mark.parametrize("module", [redeploy, restore, rollback])
def test_nothing_is_started_where_the_ledger_knows_no_release(module: Any, place: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"ledger-of-{module.__name__.rpartition('.')[2]}"
    place.session.client("s3").create_bucket(Bucket=name)
    at = with_outputs(place, monkeypatch, buckets={"ledger": {"name": name, "arn": f"arn:aws:s3:::{name}"}})
    before = promotions.runs_of(at, at.outputs.pipelines.release)
    with pytest.raises(PreflightError, match="the ledger knows no release") as raised:
        call(module, "dev")
    assert str(raised.value.remedy).startswith("Promote a package first.")
    assert promotions.runs_of(at, at.outputs.pipelines.release) == before


@pytest.mark.usefixtures("two_releases")
def test_nothing_is_started_without_the_image_that_the_release_runs(place: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    toolkit = place.outputs.repositories.toolkit
    place.session.client("ecr").create_repository(repositoryName=toolkit.name)
    step = {"Name": "Release", "Type": "Processing", "Arguments": {"AppSpecification": {"ImageUri": f"{toolkit.uri}@sha256:{'0' * 64}"}}}
    place.sagemaker.create_pipeline(
        PipelineName="without-its-image",
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": [step]}),
        RoleArn=place.outputs.roles.jobs,
        ClientRequestToken="2" * 32,
    )
    at = with_outputs(place, monkeypatch, pipelines={"release": "without-its-image"})
    with pytest.raises(PreflightError, match="dev does not have the image that without-its-image runs") as raised:
        call(restore, "dev")
    assert str(raised.value.remedy).startswith("Push it with `lockstep image push dev --toolkit`.")
    assert promotions.runs_of(at, "without-its-image") == []
    package = place.site.package("no image", approval="PendingManualApproval")
    promotions.sign_request(place.of("asker"), package)
    with pytest.raises(PreflightError, match="does not have the image"):
        call(approve, "dev", "--model-package", package.rpartition("/")[2])
    assert place.sagemaker.describe_model_package(ModelPackageName=package)["ModelApprovalStatus"] == "PendingManualApproval"
    place.sagemaker.delete_model_package(ModelPackageName=package)


def release(site: Site, answer: str) -> str:
    package = site.package(answer)
    with site.load():
        assert site.execute("release", package, run=answer).ending == "released"
    return package


def test_status_tells_bootstrap_from_a_release_and_names_it_by_digest(site: Site) -> None:
    (row,) = json.loads(call(status, "dev", "--json"))
    if row["last_promotion"] is None:
        assert row["serves"] == "bootstrap"
    package = release(site, "status")
    (row,) = json.loads(call(status, "dev", "--json"))
    assert row["serves"] == f"version {package.rpartition('/')[2]}"
    assert row["model_package_arn"] == package
    assert row["image_digest"] == site.image.rpartition("@")[2]
    assert (row["endpoint_status"], row["pending"], row["last_outcome"], row["under_way"]) == ("InService", None, "released", None)


def test_status_shows_what_was_refused_why_and_who_had_asked(site: Site, place: PlaceOf) -> None:
    package = site.package("refused", approval="PendingManualApproval")
    run = promotions.start_release(place.of("hasty"), operation="release", package=package)
    with pytest.raises(PreflightError):
        site.execute("release", package, run=run)
    (row,) = json.loads(call(status, "dev", "--json"))
    refused = row["refusals"][0]
    assert (refused["step"], refused["model_package_arn"]) == ("Release", package)
    assert refused["requested_by"][0]["principal_id"].endswith(":hasty")
    text = call(status, "dev")
    assert f"dev refused {package}" in text
    assert "PendingManualApproval, not Approved" in text
    assert "assumed-role/people/hasty" in text
    assert refused["evidence"] in text


def test_models_lists_the_newest_first_with_its_stage(two_releases: tuple[str, str]) -> None:
    rows = json.loads(call(models, "dev", "--json"))
    listed = {row["model_package_arn"]: (row["approval"], row["stage"]) for row in rows}
    assert listed[two_releases[1]] == ("Approved", "Released")
    assert [row["version"] for row in rows] == sorted((row["version"] for row in rows), reverse=True)


def test_a_pipeline_with_a_parameter_that_it_does_not_have_is_not_started(place: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "outputs", lambda environment: place.outputs)
    monkeypatch.setattr(pipeline, "session", lambda environment: place.session)
    before = promotions.runs_of(place, place.outputs.pipelines.release)
    with pytest.raises(UsageError, match="the pipeline release has no parameter 'Package'") as raised:
        call(pipeline, "run", "dev", "release", "--param", "Package=x")
    assert raised.value.exit_code == 2
    assert "ModelPackageArn, Operation, RequestedBy" in str(raised.value.remedy)
    assert promotions.runs_of(place, place.outputs.pipelines.release) == before


def test_what_an_environment_lacks_is_no_fault_of_the_command_line(place: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "outputs", lambda environment: place.outputs)
    monkeypatch.setattr(pipeline, "session", lambda environment: place.session)
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    place.sagemaker.create_pipeline(
        PipelineName=place.outputs.pipelines.training,
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Parameters": [{"Name": "ImageUri", "Type": "String"}], "Steps": [step]}),
        RoleArn=place.outputs.roles.jobs,
        ClientRequestToken="1" * 32,
    )
    with pytest.raises(PreflightError, match="has not run yet"):
        call(pipeline, "status", "dev", "training")
    with pytest.raises(PreflightError, match="does not have the image") as raised:
        call(pipeline, "run", "dev", "training", "--image", "sha256:" + "0" * 64)
    assert raised.value.exit_code == 1
    assert raised.value.remedy == "Push it with `lockstep image push dev tiny`."
    with pytest.raises(PreflightError, match="has no data of tiny"):
        call(pipeline, "run", "dev", "training", "--param", "ImageUri=any")


def test_invoke_sends_a_request_and_asks_for_one_body(site: Site) -> None:
    assert call(invoke, "dev", "--data", "1,2").strip() == site.answers()
    with pytest.raises(UsageError, match="give the body once"):
        call(invoke, "dev")
    with pytest.raises(UsageError, match="can't be read"):
        call(invoke, "dev", "--file", "/no/such/file")


def test_nobody_approves_what_they_asked_for(site: Site, place: PlaceOf, monkeypatch: pytest.MonkeyPatch) -> None:
    package = site.package("mine", approval="PendingManualApproval")
    with pytest.raises(PreflightError, match="nobody signed for that") as raised:
        call(approve, "dev")
    assert "signs for having asked" in str(raised.value.remedy)
    promotions.sign_request(place, package)
    for cloud, remedy in (
        ("aws", "Somebody else must approve it."),
        ("local", "Somebody else must approve it: say who acts here with LOCKSTEP_PERSON=NAME before the command."),
    ):
        monkeypatch.setenv("LOCKSTEP_TARGET", cloud)
        with pytest.raises(PreflightError, match="approved what they had asked for") as raised:
            call(approve, "dev")
        assert raised.value.remedy == remedy
    promotions.sign_request(place.of("somebody-else"), package)  # the first signature stays
    described = site.sagemaker.describe_model_package(ModelPackageName=package)
    assert described["CustomerMetadataProperties"]["request-signed-by"] == place.identity().principal_id


def test_a_session_that_names_nobody_can_not_approve(place: PlaceOf, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    promotions.sign_request(place, site.package("whose", approval="PendingManualApproval"))
    monkeypatch.setattr(promotions, "place", lambda environment: place.of("botocore-session-1700000000"))
    with pytest.raises(PreflightError, match="names no person") as raised:
        call(approve, "dev")
    assert "role_session_name" in str(raised.value.remedy)


def test_an_approval_is_signed_and_what_does_not_wait_can_not_be_approved(site: Site, place: PlaceOf) -> None:
    package = site.package("theirs", approval="PendingManualApproval")
    promotions.sign_request(place.of("asker"), package)
    said = json.loads(call(approve, "dev", "--model-package", package.rpartition("/")[2], "--no-wait", "--json"))
    described = site.sagemaker.describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["CustomerMetadataProperties"]["approval-signed-by"] == described["LastModifiedBy"]["IamIdentity"]["PrincipalId"]
    assert described["LastModifiedBy"]["IamIdentity"]["Arn"] == said["approved_by"] == place.caller()
    with pytest.raises(ConflictError, match="the package is Approved"):
        call(approve, "dev", "--model-package", package.rpartition("/")[2])
    with pytest.raises(UsageError, match="has no model package 999"):
        call(approve, "dev", "--model-package", "999")


def test_an_approval_that_starts_no_release_is_said_so(site: Site) -> None:
    package = site.package("no rule here", approval="PendingManualApproval")
    place = promotions.place("dev")
    with pytest.raises(ConflictError, match="no release has started"):
        promotions.await_release(place, package, None, known=[], patience=0.2)


def test_a_release_that_an_approval_started_is_found_by_its_package(site: Site) -> None:
    place = promotions.place("dev")
    package = site.package("found by package")
    run = promotions.start_release(place, operation="release", package=package)
    assert promotions.release_runs(place, package) == [run]
    assert promotions.await_release(place, package, None, known=[]).endpoint_config == "config-1"
