"""`lockstep promote`: which attempt it starts, which it follows, and what it says; admissions and releases are played by a script."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.errors import ConfigError, GateRefused, LockstepError, PreflightError, RolledBack, UsageError
from lockstep import datasets, promotions
from lockstep.commands import promote
from pipelines import executions
from pipelines.promotion.names import promotion_id
from pipelines.promotion.outcome import Outcome
from tests.promotion.environment import make_outputs

STAGING = make_outputs("staging", "222222222222")
PROD = make_outputs("prod", "333333333333", source=STAGING)
PACKAGE = f"{STAGING.model_package_group_arn.replace(':model-package-group/', ':model-package/')}/7"
DIGEST = "sha256:" + "b" * 64


@dataclass
class Script:
    """What the target's pipelines and ledger hold: admissions by promotion id, with the outcome that each comes to."""

    admissions: dict[str, str] = field(default_factory=dict)
    next_admission: str = "admitted"
    approval: str = "Approved"
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    release: LockstepError | None = None
    started: list[str] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)
    has_room: bool = True
    pipelines_looked_at: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)

    # -- the part of boto3's sagemaker client that the command reads
    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        container = {"Image": f"{STAGING.repositories.workload.uri}@{DIGEST}", "ModelDataUrl": "s3://b/k"}
        return {
            "ModelPackageArn": ModelPackageName,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": self.approval,
            "InferenceSpecification": {"Containers": [container]},
            "CustomerMetadataProperties": {"image-digest": DIGEST},
        }

    def list_pipeline_parameters_for_execution(self, PipelineExecutionArn: str) -> dict[str, Any]:
        return {"PipelineParameters": [{"Name": "PromotionId", "Value": PipelineExecutionArn}]}

    def start(self, client: Any, name: str, parameters: dict[str, str], token: str) -> str:
        assert 32 <= len(token) <= 128
        self.parameters = parameters
        identifier = parameters["PromotionId"]
        self.started.append(identifier)
        self.admissions[identifier] = self.next_admission
        return identifier

    def watch(self, client: Any, arn: str, on_step: Any = None) -> executions.Outcome:
        status = "Succeeded" if self.admissions[arn] == "admitted" else "Failed"
        return executions.Outcome(arn=arn, status=status, failure_reason="", steps=())

    def look_for_room(self, at: Any) -> None:
        if not self.has_room:
            raise PreflightError("no room for a second fleet")

    def release_outcome(self, identifier: str) -> dict[str, Any]:
        if self.release is not None:
            raise self.release
        return {"state": "released", "promotion": identifier, "model_package_arn": identifier, "endpoint_config": "config"}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    made = Script()

    class Place(promotions.Place):
        sagemaker = made

        def caller(self) -> str:
            return "arn:aws:sts::333333333333:assumed-role/people/somebody"

    places = {"staging": Place(STAGING, None), "prod": Place(PROD, None)}
    monkeypatch.setattr(promotions, "place", places.__getitem__)
    monkeypatch.setattr(promotions, "package_arn", lambda at, version: PACKAGE)
    monkeypatch.setattr(promotions, "packages", lambda at: [])
    monkeypatch.setattr(promotions, "runs_of", lambda at, pipeline: list(made.admissions))
    monkeypatch.setattr(promotions, "is_going", lambda at, run: False)
    monkeypatch.setattr(promotions, "finished", lambda at, package, promotion: made.evidence.get(promotion))
    monkeypatch.setattr(promotions, "make_sure_it_can_start", made.look_for_room)
    monkeypatch.setattr(promotions, "make_sure_of_images", lambda at, pipeline: made.pipelines_looked_at.append(pipeline))
    monkeypatch.setattr(promotions, "sign_request", lambda at, package: made.signed.append(package))
    monkeypatch.setattr(datasets, "current", lambda *_: {"uri": "s3://golden", "sha256": "a" * 64})
    monkeypatch.setattr(executions, "start", made.start)
    monkeypatch.setattr(executions, "watch", made.watch)
    monkeypatch.setattr(executions, "explain", lambda client, ended: GateRefused("auc 0.5 is below 0.7", where=ended.arn))
    monkeypatch.setattr(executions, "registered_package", lambda client, ended: ended.arn)
    monkeypatch.setattr(promote, "_release", lambda goal, admitted, say: made.release_outcome(admitted))
    return made


def attempt(number: int) -> str:
    return promotion_id(environment="prod", source_model_package_arn=PACKAGE, attempt=number)


def call(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(promote.app, ["--from", "staging", "--to", "prod", "--model-package", "7", "--json", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return {"exit_code": result.exit_code, **json.loads(result.stdout)}


def test_a_first_promotion_names_the_image_by_digest_in_both_registries(script: Script) -> None:
    assert call()["state"] == "released"
    assert script.started == [attempt(1)]
    assert script.pipelines_looked_at == [PROD.pipelines.admit]
    assert script.parameters["SourceImageUri"] == f"{STAGING.repositories.workload.uri}@{DIGEST}"
    assert script.parameters["ImageUri"] == f"{PROD.repositories.workload.uri}@{DIGEST}"
    assert script.parameters["RequestedBy"].endswith("people/somebody")


def test_an_admission_is_found_however_many_were_started_after_it(script: Script) -> None:
    script.admissions = {f"later-{number}": "admitted" for number in range(120)} | {attempt(1): "admitted"}
    assert call()["state"] == "released"
    assert script.started == []


def test_a_package_that_was_released_is_said_to_be_and_nothing_is_started(script: Script) -> None:
    script.admissions[attempt(1)] = "admitted"
    script.evidence[attempt(1)] = {"outcome": "released", "release_number": 3}
    said = call()
    assert (said["state"], said["release"], said["exit_code"]) == ("already-released", 3, 0)
    assert script.started == []


def test_attempts_that_ended_without_a_release_make_room_for_the_next(script: Script) -> None:
    script.admissions = {attempt(1): "refused", attempt(2): "admitted"}
    script.evidence[attempt(2)] = {"outcome": "rolled-back"}
    assert call()["promotion"] == attempt(3)
    assert script.started == [attempt(3)]


def test_a_promotion_whose_watcher_died_is_followed_not_started_again(script: Script) -> None:
    script.admissions[attempt(1)] = "admitted"
    assert call()["promotion"] == attempt(1)
    assert script.started == []


def test_a_package_that_waits_for_approval_is_left_to_a_person(script: Script) -> None:
    script.approval = "PendingManualApproval"
    assert call()["state"] == "pending-approval"
    assert script.signed == [attempt(1)]


@pytest.mark.parametrize(
    ("release", "admission", "exit_code"),
    [(None, "refused", 3), (RolledBack("p was rolled back"), "admitted", 4), (PreflightError("alarm"), "admitted", 1)],
)
def test_exit_codes_tell_what_stopped_it(script: Script, release: LockstepError | None, admission: str, exit_code: int) -> None:
    script.release, script.next_admission = release, admission
    said = call()
    assert said["exit_code"] == exit_code
    assert said["source_model_package_arn"] == PACKAGE
    assert said["error"]["exit_code"] == exit_code
    assert said["error"]["message"]
    assert script.started == [attempt(1)]


def test_without_room_for_a_second_fleet_nothing_is_started(script: Script) -> None:
    script.has_room = False
    said = call()
    assert (said["exit_code"], said["error"]["message"]) == (1, "no room for a second fleet")
    assert script.started == []
    script.admissions[attempt(1)] = "admitted"
    assert call()["promotion"] == attempt(1)  # what is under way is followed


def test_a_chain_that_is_not_declared_is_refused(script: Script) -> None:
    with pytest.raises(UsageError, match="the same environment"):
        call("--to", "staging")
    with pytest.raises(ConfigError, match=r"admits from staging, not from prod|admits from nowhere"):
        call("--from", "prod", "--to", "staging")


def test_an_environment_without_packages_says_how_to_get_one(script: Script) -> None:
    with pytest.raises(PreflightError, match="has no model package") as raised:
        CliRunner().invoke(promote.app, ["--from", "staging", "--to", "prod"], catch_exceptions=False)
    assert raised.value.remedy == "Train one: `lockstep pipeline run staging training`."


def test_the_outcome_of_a_release_is_read_from_its_jobs_message() -> None:
    rolled_back = Outcome(
        promotion="p", operation="release", ending="rolled-back", endpoint_config="c", model_package_arn="a", at=0.0, reasons=("5XX",)
    )
    with pytest.raises(RolledBack, match="5XX"):
        rolled_back.raise_unless_released()
