"""Admission across accounts: from staging to prod, under prod's promotion role and with the grants of staging alone."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.errors import ConflictError, IntegrityError, LockstepError, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.jobs import gates
from pipelines.promotion import verify
from pipelines.promotion.journal import Journal, Lease
from pipelines.promotion.plan import Job
from pipelines.promotion.refusals import Asked
from pipelines.promotion.seam import Aws
from pipelines.promotion.verify import Claim
from tests.promotion.conftest import SPEED
from tests.promotion.site import Site

GOLDEN = b"a,b\n1,2\n"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    from local.cloud.server import running

    with running(tmp_path_factory.mktemp("cloud"), speed=SPEED, enforce_iam=True) as cloud:
        staging = Site(cloud, "staging", "222222222222")
        prod = Site(cloud, "prod", "333333333333", source=staging)
        grant(staging, prod)
        yield staging, prod


def grant(staging: Site, prod: Site) -> None:
    """Read-only grants to the one promotion role of the next environment, as the stack makes them."""
    o = staging.outputs
    to = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{prod.outputs.account_id}:root"},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": prod.outputs.roles.promotion}},
    }

    def policy(actions: list[str], resources: list[str] | None = None) -> str:
        statement: dict[str, Any] = {**to, "Action": actions}
        if resources:
            statement["Resource"] = resources
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    ledger = o.buckets.ledger
    staging.s3.put_bucket_policy(Bucket=o.buckets.artefacts.name, Policy=policy(["s3:GetObject"], [f"{o.buckets.artefacts.arn}/*"]))
    staging.s3.put_bucket_policy(Bucket=ledger.name, Policy=policy(["s3:GetObject", "s3:ListBucket"], [ledger.arn, f"{ledger.arn}/*"]))
    staging.session.client("ecr").set_repository_policy(
        repositoryName=o.repositories.workload.name,
        policyText=policy(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]),
    )
    packages = o.model_package_group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    staging.sagemaker.put_model_package_group_policy(
        ModelPackageGroupName=o.model_package_group_name,
        ResourcePolicy=policy(["sagemaker:DescribeModelPackage"], [packages]),
    )


def released(staging: Site, answer: str) -> str:
    """A package that staging has released."""
    package = staging.package(answer)
    with staging.load():
        outcome = staging.execute("release", package, run=answer)
    assert outcome.ending == "released"
    return package


def claim(staging: Site, prod: Site, package: str, **changes: str) -> Claim:
    digest = staging.image.rpartition("@")[2]
    golden = hashlib.sha256(GOLDEN).hexdigest()
    values = {
        "source_model_package_arn": package,
        "source_image_uri": f"{staging.outputs.repositories.workload.uri}@{digest}",
        "image_uri": f"{prod.outputs.repositories.workload.uri}@{digest}",
        "golden_uri": prod.put(f"golden/tiny/{golden}/golden.csv", GOLDEN, prod.outputs.buckets.data.name),
        "golden_sha256": golden,
    }
    choose_golden(prod, values["golden_uri"], golden)
    return Claim(**{**values, **changes})


def choose_golden(prod: Site, uri: str, digest: str) -> None:
    """As `lockstep data push` does."""
    prod.put("golden/tiny/current.json", json.dumps({"uri": uri, "sha256": digest, "rows": 1}).encode(), prod.outputs.buckets.data.name)


def role_of(prod: Site) -> Any:
    return prod.cloud.session(prod.outputs.account_id, "us-east-1", prod.outputs.roles.promotion)


def admit(session: Any, outputs: EnvironmentOutputs, asked: Claim, promotion: str = "prod-x-1") -> tuple[dict[str, Any], dict[str, str]]:
    return verify.admit(session, outputs, asked, Asked(promotion=promotion, execution="no run", claimed="ann"))


def test_a_released_package_is_verified_and_copied_by_digest(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "good")
    record, champion = admit(role_of(prod), prod.outputs, claim(staging, prod, package))
    source = staging.sagemaker.describe_model_package(ModelPackageName=package)["CustomerMetadataProperties"]
    assert record["artefact_sha256"] == source["artefact-sha256"]
    assert record["model_uri"].startswith(f"s3://{prod.outputs.buckets.artefacts.name}/models/")
    images = prod.session.client("ecr").batch_get_image(
        repositoryName=prod.outputs.repositories.workload.name, imageIds=[{"imageDigest": record["image_digest"]}]
    )["images"]
    assert images[0]["imageId"]["imageDigest"] == staging.image.rpartition("@")[2]
    assert champion["kind"] == "none"
    assert admit(role_of(prod), prod.outputs, claim(staging, prod, package)) == (record, champion)


def _not_released(staging: Site, package: str) -> str:
    return staging.package("never released")


def _flipped(staging: Site, package: str) -> str:
    url = staging.sagemaker.describe_model_package(ModelPackageName=package)["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body = bytearray(staging.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    body[-1] ^= 1
    staging.put(key, bytes(body))
    return package


def _other_group(staging: Site, package: str) -> str:
    return package.replace("model-package/lockstep-staging/", "model-package/lockstep-dev/")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_not_released, PreflightError, "no evidence that the package was released"),
        (_flipped, IntegrityError, "its bytes have SHA-256"),
        (_other_group, PreflightError, "is not of staging's group"),
    ],
)
def test_what_may_not_come_in_is_refused_and_nothing_is_copied(
    chain: tuple[Site, Site], spoil: Callable[[Site, str], str], error: type[LockstepError], words: str
) -> None:
    staging, prod = chain
    package = spoil(staging, released(staging, spoil.__name__))
    before = prod.s3.list_objects_v2(Bucket=prod.outputs.buckets.artefacts.name)["KeyCount"]
    promotion = f"prod-{spoil.__name__.strip('_')}-1"
    for _ in range(2):  # a step that the service runs again refuses again, and that is one entry
        with pytest.raises(error, match=words):
            admit(role_of(prod), prod.outputs, claim(staging, prod, package), promotion)
    assert prod.s3.list_objects_v2(Bucket=prod.outputs.buckets.artefacts.name)["KeyCount"] == before
    ((key, refused),) = prod.ledger(f"refusals/{promotion}/").items()
    assert re.fullmatch(rf"refusals/{promotion}/verify-[0-9a-f]{{12}}\.json", key)
    assert (refused["promotion"], refused["step"], refused["refused"]) == (promotion, "Verify", error.__name__)
    assert re.search(words, refused["message"])
    assert (refused["source_model_package_arn"], refused["requested_by_claimed"]) == (package, "ann")
    assert refused["at"] > 0


def test_an_image_whose_tag_was_moved_to_another_is_refused(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "before the tag moved")
    ecr = staging.session.client("ecr")
    name, digest = staging.outputs.repositories.workload.name, staging.image.rpartition("@")[2]
    image = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": digest}])["images"][0]
    other = json.dumps({**json.loads(image["imageManifest"]), "annotations": {"dev.lockstep.base": "host", "changed": "yes"}})
    same = {"repositoryName": name, "imageTag": image["imageId"]["imageTag"], "imageManifestMediaType": image["imageManifestMediaType"]}
    ecr.put_image(imageManifest=other, **same)
    try:
        with pytest.raises(IntegrityError, match="its tag was moved") as raised:
            admit(role_of(prod), prod.outputs, claim(staging, prod, package))
        assert digest in str(raised.value.where)
        assert "re-tagged" in str(raised.value.remedy)
    finally:
        ecr.put_image(imageManifest=image["imageManifest"], **same)
    assert admit(role_of(prod), prod.outputs, claim(staging, prod, package))


def test_a_missing_grant_is_named_before_anything_is_copied(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "before the grant went")
    staging.session.client("ecr").delete_repository_policy(repositoryName=staging.outputs.repositories.workload.name)
    try:
        with pytest.raises(PreflightError, match="BatchGetImage was refused") as raised:
            admit(role_of(prod), prod.outputs, claim(staging, prod, package))
        assert "lockstep-staging-workload" in str(raised.value.where)
    finally:
        grant(staging, prod)


def test_a_claim_about_another_image_is_refused(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "another image")
    other = f"{prod.outputs.repositories.workload.uri}@sha256:{'0' * 64}"
    with pytest.raises(IntegrityError, match="and should be"):
        admit(role_of(prod), prod.outputs, claim(staging, prod, package, image_uri=other))


def test_golden_data_that_is_not_what_its_digest_names_is_refused(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "golden")
    asked = claim(staging, prod, package, golden_sha256="0" * 64)
    choose_golden(prod, asked.golden_uri, "0" * 64)
    with pytest.raises(IntegrityError, match="its bytes have SHA-256"):
        admit(role_of(prod), prod.outputs, asked)


def test_who_starts_an_admission_does_not_choose_the_golden_data(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "golden of my own")
    data = prod.outputs.buckets.data.name
    easy = b"a,b\n3,4\n"
    mine = {"golden_uri": prod.put("golden/tiny/mine/golden.csv", easy, data), "golden_sha256": hashlib.sha256(easy).hexdigest()}
    for changes in (mine, {"golden_uri": mine["golden_uri"]}):
        with pytest.raises(IntegrityError, match="the golden set of prod is s3://") as raised:
            admit(role_of(prod), prod.outputs, claim(staging, prod, package, **changes))
        assert raised.value.where == "--golden-uri"
    asked = claim(staging, prod, package)
    prod.s3.delete_object(Bucket=data, Key="golden/tiny/current.json")
    with pytest.raises(PreflightError, match="prod has no golden set of tiny"):
        admit(role_of(prod), prod.outputs, asked)


def test_what_would_stop_the_release_stops_the_admission_before_anything_is_copied(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "not now")
    asked = claim(staging, prod, package)
    endpoint, alarm = prod.outputs.endpoint.name, prod.outputs.endpoint.alarm_names[0]
    artefacts = prod.outputs.buckets.artefacts.name
    before = prod.s3.list_objects_v2(Bucket=artefacts)["KeyCount"]

    def refused(error: type[LockstepError], words: str, where: str) -> None:
        with pytest.raises(error, match=words) as raised:
            admit(role_of(prod), prod.outputs, asked)
        assert where in str(raised.value.where)
        assert raised.value.remedy
        assert prod.s3.list_objects_v2(Bucket=artefacts)["KeyCount"] == before

    prod.cloudwatch.delete_alarms(AlarmNames=[alarm])
    refused(PreflightError, "the alarm does not exist", alarm)
    prod.put_alarm(alarm, Threshold=-1.0, TreatMissingData="breaching")
    _await_state(prod, alarm, "ALARM")
    refused(PreflightError, "it is in ALARM", alarm)
    prod.put_alarm(alarm)
    _await_state(prod, alarm, "OK")

    journal = Journal(Aws(prod.session, table=prod.outputs.promotion.journal_table_name), endpoint=endpoint, lease_seconds=9000, run="x")
    other = Job(promotion="prod-other-1", operation="release", model_package_arn="another", requested_by="")
    lease = journal.acquire(other)
    assert isinstance(lease, Lease)
    journal.record(journal.open(other), submitting=True)
    refused(ConflictError, r"promotion prod-other-1 \(release\) is under way", endpoint)
    journal.give_up(lease, finished=False)
    refused(ConflictError, "was left without an end", endpoint)
    journal.give_up(lease, finished=True)

    bootstrap = prod.outputs.endpoint.bootstrap_config_name
    variants = prod.sagemaker.describe_endpoint_config(EndpointConfigName=bootstrap)["ProductionVariants"]
    prod.sagemaker.create_endpoint_config(EndpointConfigName="somebody", ProductionVariants=variants)
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 3600}
    prod.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="somebody", DeploymentConfig={"BlueGreenUpdatePolicy": policy})
    refused(ConflictError, r"it is Updating: somebody else is changing it \(to somebody\)", endpoint)
    prod.cloud.clock.set(advance=3600)
    prod.settled()
    prod.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=bootstrap)
    prod.settled()
    assert admit(role_of(prod), prod.outputs, asked)[1]["kind"] == "none"


def _await_state(site: Site, alarm: str, state: str) -> None:
    end = time.monotonic() + 90
    while (seen := site.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"]) != state:
        assert time.monotonic() < end, seen
        time.sleep(0.02)


def test_a_champion_that_is_missing_after_the_first_release_stops_the_admission(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "champion")
    prod.put("releases/00000001-earlier.json", b"{}", prod.outputs.buckets.ledger.name)
    with pytest.raises(PreflightError, match="the champion is missing"):
        admit(role_of(prod), prod.outputs, claim(staging, prod, package))


GATES = """
gates:
  - {name: accuracy, kind: absolute, metric: auc, minimum: 0.8}
  - {name: fairness, kind: absolute, metric: equal_opportunity_difference, maximum: 0.1}
  - {name: speed, kind: absolute, metric: latency_p95_ms, maximum: 100}
  - {name: champion, kind: relative, metric: auc, margin: 0.01, direction: higher}
"""


def test_a_candidate_that_the_gates_refuse_is_in_the_ledger_with_margins_digests_and_who_asked(
    chain: tuple[Site, Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, prod = chain
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    evaluation = {"applicable": True, "subject": "candidate", "artefact_sha256": "a" * 64, "image": "i", "golden_sha256": "g" * 64}
    others, champion = {"equal_opportunity_difference": 0.05, "latency_p95_ms": 20.0}, {"applicable": False, "kind": "none"}
    record = {"source_model_package_arn": "arn:source/7", "image_digest": "sha256:b", "data_sha256": "d", "code_sha256": "c"}
    asked = ["--promotion-id", "prod-gates-1", "--requested-by", "ann", "--execution-arn", "none"]

    def judge(auc: float) -> dict[str, Any]:
        files: dict[str, Any] = {"environment/outputs.json": prod.outputs.model_dump(mode="json"), "record/candidate.json": record}
        files |= {"candidate/evaluation.json": {**evaluation, "metrics": {**others, "auc": auc}}, "champion/evaluation.json": champion}
        files |= {"standing/champion.json": {"kind": "none", "model_package_arn": "", "artefact_sha256": ""}}
        for name, value in files.items():
            path = tmp_path / "processing" / "input" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        (tmp_path / "processing/input/candidate/gates.yaml").write_text(GATES)
        gates.main(asked, session=role_of(prod))
        return prod.ledger("refusals/prod-gates-1/")

    assert judge(0.9) == {}
    judge(0.75)
    (refused,) = judge(0.75).values()
    assert refused["refused"] == "GateRefused"
    assert "auc 0.75 < 0.8 by 0.05" in refused["message"]
    assert refused["gates"]["results"][0]["status"] == "refused"
    assert {key: refused[key] for key in record} == record
    assert (refused["artefact_sha256"], refused["metrics"]["auc"], refused["champion"]["kind"]) == ("a" * 64, 0.75, "none")
    assert refused["requested_by_claimed"] == "ann"
