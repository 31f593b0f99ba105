"""Names, requests, digests, messages: the parts that are functions and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from infra import errors
from infra.errors import ConfigError, IntegrityError, LockstepError, PreflightError, UsageError
from infra.outputs import RolloutSpec
from pipelines.promotion import render
from pipelines.promotion.candidate import Candidate, ImageName, check_evaluation, split_s3
from pipelines.promotion.evidence import Release, check_released, former, standing
from pipelines.promotion.health import same_answer
from pipelines.promotion.names import fit, name_prefix, operation_id, promotion_id, release_names
from pipelines.promotion.outcome import MESSAGE_LIMIT, Outcome, exit_message, parse_exit_message
from pipelines.promotion.plan import Order
from tests.promotion.environment import make_outputs

SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
words = st.text(min_size=1, max_size=120).filter(lambda text: re.search("[a-zA-Z0-9]", text) is not None)


@given(words, words)
def test_names_fit_the_services_limits_and_are_found_by_their_prefix(prefix: str, promotion: str) -> None:
    names = release_names(prefix, promotion)
    assert SAGEMAKER_NAME.fullmatch(names.model)
    assert all(len(alarm) <= 255 for alarm in names.alarms)
    assert all(name.startswith(name_prefix(prefix)) for name in (names.model, names.endpoint_config, *names.alarms))
    assert names == release_names(prefix, promotion)


@given(st.lists(words, min_size=2, max_size=2, unique=True))
def test_different_promotions_get_different_names(promotions: list[str]) -> None:
    first, second = (release_names("dev-release", promotion) for promotion in promotions)
    assert not {first.model, *first.alarms} & {second.model, *second.alarms}


@given(words, st.integers(12, 80))
def test_a_name_that_is_cut_keeps_its_limit(name: str, limit: int) -> None:
    assert len(fit(name, limit)) <= limit


def test_promotion_ids_tell_attempts_environments_and_packages_apart() -> None:
    ids = {
        promotion_id(environment=environment, source_model_package_arn=arn, attempt=attempt)
        for environment in ("staging", "prod")
        for arn in ("a/1", "a/2")
        for attempt in (1, 2)
    }
    assert len(ids) == 8
    with pytest.raises(ValueError, match="count from 1"):
        promotion_id(environment="prod", source_model_package_arn="a", attempt=0)
    assert operation_id(environment="prod", operation="rollback", ledger_number=3, model_package_arn="a", spec_digest="b").startswith(
        "prod-rollback-0003-"
    )


def rollout(**changes: Any) -> RolloutSpec:
    values = {**make_outputs().rollout.model_dump(), **changes}
    return RolloutSpec.model_validate(values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": {"type": "CAPACITY_PERCENT", "value": 51}}, "outside 1..50"),
        ({"step": {"type": "INSTANCE_COUNT", "value": 3}}, "more than half"),
        ({"strategy": "LINEAR", "step": {"type": "CAPACITY_PERCENT", "value": 9}}, "outside 10..50"),
        ({"strategy": "ALL_AT_ONCE"}, "with step"),
        ({"step": None}, "with step None"),
        ({"maximum_execution_timeout_seconds": 599}, "outside 600..28800"),
        ({"wait_interval_seconds": 1190}, "the bakes take 1250 s"),
        ({"strategy": "LINEAR", "step": {"type": "CAPACITY_PERCENT", "value": 10}}, "the bakes take 2460 s"),
    ],
)
def test_a_rollout_that_the_service_would_refuse_is_refused_first(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        render.check_rollout(rollout(**changes), instance_count=4, where="rollout of dev")


@pytest.mark.parametrize(
    "spec",
    [
        rollout(),
        rollout(strategy="ALL_AT_ONCE", step=None),
        rollout(strategy="LINEAR", step={"type": "INSTANCE_COUNT", "value": 2}),
    ],
)
def test_requests_are_what_the_services_models_ask_for(spec: RolloutSpec) -> None:
    """Checked against botocore's models: required members, types, minima."""
    outputs = make_outputs()
    render.check_rollout(spec, instance_count=4, where="dev")
    names = release_names("dev-release", "dev-1")
    tags = render.tags(outputs, promotion="dev-1", model_package_arn="arn")
    requests = [
        ("sagemaker", "CreateModel", {**render.model(outputs.serving, names, image="i@sha256:0", model_data_url="s3://b/k"), "Tags": tags}),
        ("sagemaker", "CreateEndpointConfig", {**render.endpoint_config(outputs.serving, names, instance_count=3), "Tags": tags}),
        (
            "sagemaker",
            "UpdateEndpoint",
            {
                "EndpointName": "e",
                "EndpointConfigName": names.endpoint_config,
                "RetainAllVariantProperties": True,
                "DeploymentConfig": render.deployment_config(spec, names.alarms),
            },
        ),
        ("sagemaker", "UpdateEndpoint", {"EndpointName": "e", "EndpointConfigName": "f", "DeploymentConfig": render.revert_config(spec)}),
    ]
    requests += [
        ("cloudwatch", "PutMetricAlarm", alarm) for alarm in render.alarms(outputs.release_alarms, names, endpoint="e", variant="v")
    ]
    for service, operation, request in requests:
        client = boto3.Session().client(
            service,  # type: ignore[call-overload]
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        shape = client.meta.service_model.operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()


def test_the_alarms_of_a_release_watch_its_own_fleet_and_can_fire() -> None:
    names = release_names("dev-release", "dev-1")
    errors_alarm, latency, veto = render.alarms(make_outputs().release_alarms, names, endpoint="e", variant="v")
    for alarm in (errors_alarm, latency):
        assert {"Name": "EndpointConfigName", "Value": names.endpoint_config} in alarm["Dimensions"]
    assert 0 < errors_alarm["Threshold"] < 1
    assert latency["Threshold"] == 2_000_000
    assert veto["Dimensions"] == [{"Name": "EndpointConfigName", "Value": names.endpoint_config}]
    assert {alarm["TreatMissingData"] for alarm in (errors_alarm, latency, veto)} == {"notBreaching"}


def test_what_the_service_adds_and_its_order_are_no_difference() -> None:
    wanted = {"Name": "m", "Env": {}, "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}]}
    found = {"Name": "m", "Dimensions": [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}], "CreationTime": "today"}
    assert render.differences(wanted, found) == []
    assert render.differences(wanted, {**found, "Name": "n"}) == ["Name"]
    assert render.differences(wanted, {**found, "Dimensions": found["Dimensions"][:1]}) == ["Dimensions"]


@given(st.text(max_size=3000), st.text(max_size=3000), st.text(max_size=3000))
def test_a_message_fits_the_services_limit_and_names_its_error(message: str, where: str, remedy: str) -> None:
    text = exit_message(PreflightError(message, where=where, remedy=remedy))
    assert len(text.encode()) <= MESSAGE_LIMIT
    said = parse_exit_message(text)
    assert type(said) is PreflightError
    assert message.startswith(said.message)


@pytest.mark.parametrize("kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, LockstepError)])
def test_every_error_survives_the_way_through_a_jobs_message(kind: type[LockstepError]) -> None:
    said = parse_exit_message(exit_message(kind("wrong", where="here", remedy="do that")))
    assert isinstance(said, LockstepError)
    assert (type(said), said.message, said.where, said.remedy, said.exit_code) == (kind, "wrong", "here", "do that", kind.exit_code)


def test_outcomes_survive_too_and_anything_else_is_nothing() -> None:
    outcome = Outcome(
        promotion="p", operation="release", ending="rolled-back", endpoint_config="c", model_package_arn="a", at=1.0, reasons=("x" * 2000,)
    )
    said = parse_exit_message(exit_message(outcome))
    assert isinstance(said, Outcome)
    assert said.ending == "rolled-back"
    for text in (None, "", "arn:aws:sagemaker", "[]", '{"error": "KeyboardInterrupt"}', '{"error": "annotations"}'):
        assert parse_exit_message(text) is None


def entry(number: int, operation: str = "release") -> Release:
    return Release(
        number=number, promotion=f"p{number}", operation=operation, model_package_arn=f"package/{number}", artefact_sha256="",
        image_digest="", endpoint_config="", spec_digest="", at=0.0,
    )  # fmt: skip


def test_rollbacks_undo_and_redeploys_replace() -> None:
    history = [entry(1), entry(2), entry(3, "redeploy"), entry(4), entry(5, "rollback")]
    assert [release.number for release in standing(history)] == [1, 5]
    assert former(history, "ledger").number == 1
    with pytest.raises(PreflightError, match="no release before"):
        former([entry(1), entry(2, "restore")], "ledger")


@pytest.mark.parametrize(
    ("evidence", "error"),
    [
        (None, PreflightError),
        ({"outcome": "rolled-back"}, PreflightError),
        ({"outcome": "released", "model_package_arn": "p", "artefact_sha256": "other", "image_digest": "i"}, IntegrityError),
        ({"outcome": "released", "model_package_arn": "other", "artefact_sha256": "a", "image_digest": "i"}, IntegrityError),
    ],
)
def test_only_what_the_source_released_with_these_very_bytes_passes(evidence: dict[str, str] | None, error: type[LockstepError]) -> None:
    with pytest.raises(error):
        check_released(evidence, package="p", artefact="a", image_digest="i", where="ledger")
    check_released(
        {"outcome": "released", "model_package_arn": "p", "artefact_sha256": "a", "image_digest": "i"},
        package="p", artefact="a", image_digest="i", where="ledger",
    )  # fmt: skip


@pytest.mark.parametrize("uri", ["111111111111.dkr.ecr.us-east-1.amazonaws.com/a:latest", "public.ecr.aws/a@sha256:" + "0" * 64, "a"])
def test_an_image_that_is_not_pinned_in_a_private_registry_is_refused(uri: str) -> None:
    with pytest.raises(IntegrityError, match="not named by digest"):
        ImageName.parse(uri, "package")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.9", True])
def test_a_metric_that_is_no_number_is_no_evidence(value: object) -> None:
    digest = "sha256:" + "b" * 64
    image = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/a@{digest}"
    candidate = Candidate(
        arn="p", status="Completed", approval="Approved", image=image, model_data_url="s3://b/k",
        metadata={"artefact-sha256": "a" * 64, "image-digest": digest, "golden-sha256": "d" * 64},
    )  # fmt: skip
    good = {"applicable": True, "metrics": {"auc": 0.9}, "artefact_sha256": "a" * 64, "image": image, "golden_sha256": "d" * 64}
    assert check_evaluation(json.dumps(good).encode(), candidate, "e")["metrics"] == {"auc": 0.9}
    with pytest.raises(IntegrityError, match="metric auc"):
        check_evaluation(json.dumps({**good, "metrics": {"auc": value}}).encode(), candidate, "e")
    with pytest.raises(IntegrityError, match="is of artefact"):
        check_evaluation(json.dumps({**good, "artefact_sha256": "c" * 64}).encode(), candidate, "e")


def test_answers_are_compared_as_numbers_where_they_are() -> None:
    assert same_answer('{"p": [0.30000001, true]}', '{"p": [0.3, true]}')
    assert not same_answer('{"p": 0.31}', '{"p": 0.3}')
    assert not same_answer('{"p": 1}', '{"p": true}')
    assert same_answer("yes\n", "yes")


@pytest.mark.parametrize(("operation", "arn"), [("release", ""), ("rollback", "arn"), ("undo", "")])
def test_orders_that_make_no_sense_are_usage_errors(operation: str, arn: str) -> None:
    with pytest.raises(UsageError):
        Order.parse(operation, arn, "")


@pytest.mark.parametrize("uri", ["http://b/k", "s3://b", "s3:///k", "b/k"])
def test_an_uri_that_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(IntegrityError):
        split_s3(uri, "package")
