"""Releases on the embedded cloud, whose clock is a day ahead of this machine's: good ones, bad ones, and the way back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import ConflictError, IntegrityError, LockstepError, PreflightError
from pipelines.promotion.outcome import Outcome
from tests.promotion.site import Site

CLOCK_OFFSET = 86_400.0


def run(site: Site, operation: str, package: str = "", *, name: str = "") -> Outcome:
    asker = "arn:aws:sts::111111111111:assumed-role/people/somebody"
    return site.execute(operation, package, run=name or f"{operation} {package} {site.cloud.clock.time()}", requested_by=asker)


def good(site: Site, answer: str) -> Outcome:
    with site.load():
        outcome = run(site, "release", site.package(answer))
    assert outcome.ending == "released"
    return outcome


def test_a_good_release_loses_no_request_and_a_bad_one_only_what_green_answered(site: Site) -> None:
    before = good(site, "before the bad one")
    with site.load(per_second=50, body="late category") as load:
        bad = run(site, "release", site.package("bad", fails_on="category"))
        after_rollback = len(load.failures)
        assert site.describe()["EndpointConfigName"] == before.endpoint_config
        with site.load(per_second=50, body="late category") as again:
            good(site, "after the bad one")
    assert bad.ending == "rolled-back"
    assert any("alarm lockstep-dev-release" in reason for reason in bad.reasons)
    assert load.failures
    assert all("ModelError" in failure for failure in load.failures)
    assert len(load.failures) == after_rollback
    assert "bad" not in load.answers
    assert again.failures == []
    assert site.leftovers() == []
    outcomes = [story["outcome"] for story in site.ledger(f"promotions/{bad.promotion}/").values()]
    assert outcomes == ["rolled-back"]


def test_probes_that_fail_call_the_rollout_off_without_any_other_traffic(site: Site) -> None:
    former = good(site, "before the probes")
    bad = run(site, "release", site.package("fails on golden", fails_on="golden"))
    assert bad.ending == "rolled-back"
    assert any("golden request failed" in reason or "alarm" in reason for reason in bad.reasons)
    assert site.describe()["EndpointConfigName"] == former.endpoint_config
    assert site.leftovers() == []


def test_a_model_that_answers_otherwise_than_it_was_evaluated_is_taken_back(site: Site) -> None:
    former = good(site, "honest")
    package = site.package("as evaluated")
    folder = site.sagemaker.describe_model_package(ModelPackageName=package)["CustomerMetadataProperties"]["evaluation-uri"]
    key = folder.removeprefix(f"s3://{site.outputs.buckets.artefacts.name}/").replace("evaluation.json", "probes.json")
    site.put(key, b'{"requests": [{"content_type": "text/csv", "body": "golden", "answer": "something else"}]}')
    with site.load() as load:
        outcome = run(site, "release", package)
    assert outcome.ending == "rolled-back"
    assert "the evaluated artefact answers 'something else'" in outcome.reasons[0]
    assert load.failures == []
    assert site.describe()["EndpointConfigName"] == former.endpoint_config


def test_rollback_restore_and_redeploy_take_the_package_from_the_ledger(site: Site) -> None:
    good(site, "older")
    newest = good(site, "newer")
    with site.load() as load:
        assert run(site, "rollback").ending == "released"
        assert site.answers() == "older"
        site.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=site.outputs.endpoint.name,
            DesiredWeightsAndCapacities=[{"VariantName": site.outputs.serving.variant_name, "DesiredInstanceCount": 3}],
        )
        site.settled()
        scaled = good(site, "while scaled out")
        assert site.describe()["ProductionVariants"][0]["DesiredInstanceCount"] == 3
        assert run(site, "redeploy").ending == "released"
        assert site.describe()["ProductionVariants"][0]["DesiredInstanceCount"] == site.outputs.serving.instance_count
        assert run(site, "redeploy").reasons == ("already live: nothing to do",)
    assert load.failures == []
    site.sagemaker.delete_endpoint(EndpointName=site.outputs.endpoint.name)
    _await_gone(site)
    site.deploy_endpoint()
    assert site.answers() == "bootstrap"
    with site.load():
        restored = run(site, "restore")
    assert restored.model_package_arn == scaled.model_package_arn != newest.model_package_arn
    assert site.answers() == "while scaled out"
    assert site.leftovers() == []


def _await_gone(site: Site) -> None:
    import time

    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            site.describe()
        except ClientError:
            return
        time.sleep(0.02)
    raise AssertionError("the endpoint was not deleted")


def _flip_a_bit(site: Site, package: str) -> None:
    url = site.sagemaker.describe_model_package(ModelPackageName=package)["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body = bytearray(site.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    body[-1] ^= 1
    site.put(key, bytes(body))


def _set_nan(site: Site, package: str) -> None:
    uri = site.sagemaker.describe_model_package(ModelPackageName=package)["CustomerMetadataProperties"]["evaluation-uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    site.put(key, site.s3.get_object(Bucket=bucket, Key=key)["Body"].read().replace(b"0.8", b"NaN"))


def _reject(site: Site, package: str) -> None:
    site.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_flip_a_bit, IntegrityError, "its bytes have SHA-256"),
        (_set_nan, IntegrityError, "metric auc is nan"),
        (_reject, PreflightError, "Rejected, not Approved"),
    ],
)
def test_what_was_changed_after_the_judgement_never_reaches_the_endpoint(
    site: Site, spoil: Any, error: type[LockstepError], words: str
) -> None:
    package = site.package(f"spoilt by {spoil.__name__}")
    spoil(site, package)
    before = site.describe()
    with pytest.raises(error, match=words):
        run(site, "release", package)
    assert site.describe()["EndpointConfigName"] == before["EndpointConfigName"]
    assert site.describe()["LastModifiedTime"] == before["LastModifiedTime"]
    assert site.leftovers() == []


def test_an_alarm_that_is_missing_or_rings_stops_a_release_and_the_same_release_passes_afterwards(site: Site) -> None:
    name = site.outputs.endpoint.alarm_names[0]
    package = site.package("after the alarm")
    site.cloudwatch.delete_alarms(AlarmNames=[name])
    with pytest.raises(PreflightError, match="the alarm does not exist") as raised:
        run(site, "release", package)
    assert name in str(raised.value.where)
    site.put_alarm(name, Threshold=-1.0, TreatMissingData="breaching")
    with pytest.raises(PreflightError, match="in ALARM"):
        run(site, "release", package)
    site.put_alarm(name)
    # An alarm that is put again keeps its state until it is evaluated next.
    deadline = time.monotonic() + 90
    while site.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM":
        assert time.monotonic() < deadline, "the alarm stays in ALARM"
    with site.load():
        assert run(site, "release", package).ending == "released"


def test_somebody_elses_update_is_left_alone(site: Site) -> None:
    good(site, "before somebody else")
    spec = site.outputs
    site.sagemaker.update_endpoint(
        EndpointName=spec.endpoint.name,
        EndpointConfigName=spec.endpoint.bootstrap_config_name,
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": 1800,
            }
        },
    )
    with pytest.raises(ConflictError, match="somebody else"):
        run(site, "release", site.package("too late"))
    assert site.settled()["EndpointConfigName"] == spec.endpoint.bootstrap_config_name
    with site.load():
        run(site, "restore")
