"""Admission across accounts: from staging to prod, under prod's promotion role and with the grants of staging alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.errors import ConflictError, IntegrityError, LockstepError, PreflightError
from pipelines.promotion.engine import Engine
from pipelines.promotion.journal import Journal, Lease
from pipelines.promotion.plan import Order
from pipelines.promotion.seam import Aws
from pipelines.promotion.verify import Claim, admit
from tests.promotion.conftest import SPEED
from tests.promotion.site import Site

GOLDEN = b"a,b\n1,2\n"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    from local.cloud.server import running

    with running(tmp_path_factory.mktemp("cloud"), speed=SPEED) as cloud:
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

    for bucket in (o.buckets.artefacts, o.buckets.ledger):
        staging.s3.put_bucket_policy(Bucket=bucket.name, Policy=policy(["s3:GetObject", "s3:ListBucket"], [bucket.arn, f"{bucket.arn}/*"]))
    staging.session.client("ecr").set_repository_policy(
        repositoryName=o.repositories.workload.name,
        policyText=policy(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:DescribeImages"]),
    )
    packages = o.model_package_group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    staging.sagemaker.put_model_package_group_policy(
        ModelPackageGroupName=o.model_package_group_name,
        ResourcePolicy=policy(["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"], [packages, o.model_package_group_arn]),
    )


def released(staging: Site, answer: str) -> str:
    """A package that staging has released."""
    package = staging.package(answer)
    aws = Aws(staging.session, table=staging.outputs.promotion.journal_table_name)
    with staging.load():
        outcome = Engine(aws, staging.outputs, run=answer).execute(Order(operation="release", model_package_arn=package))
    assert outcome.ending == "released"
    return package


def claim(staging: Site, prod: Site, package: str, **changes: str) -> Claim:
    import hashlib

    digest = staging.image.rpartition("@")[2]
    golden = hashlib.sha256(GOLDEN).hexdigest()
    values = {
        "source_model_package_arn": package,
        "source_image_uri": f"{staging.outputs.repositories.workload.uri}@{digest}",
        "image_uri": f"{prod.outputs.repositories.workload.uri}@{digest}",
        "golden_uri": prod.put(f"golden/tiny/{golden}/golden.csv", GOLDEN, prod.outputs.buckets.data.name),
        "golden_sha256": golden,
    }
    return Claim(**{**values, **changes})


def role_of(prod: Site) -> Any:
    return prod.cloud.session(prod.outputs.account_id, "us-east-1", prod.outputs.roles.promotion)


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
    with pytest.raises(error, match=words):
        admit(role_of(prod), prod.outputs, claim(staging, prod, package))
    assert prod.s3.list_objects_v2(Bucket=prod.outputs.buckets.artefacts.name)["KeyCount"] == before


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
    with pytest.raises(IntegrityError, match="its bytes have SHA-256"):
        admit(role_of(prod), prod.outputs, claim(staging, prod, package, golden_sha256="0" * 64))


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
    lease = journal.acquire("prod-other-1", "release")
    assert isinstance(lease, Lease)
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
    end = time.monotonic() + 30
    while (seen := site.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"]) != state:
        assert time.monotonic() < end, seen
        time.sleep(0.02)


def test_a_champion_that_is_missing_after_the_first_release_stops_the_admission(chain: tuple[Site, Site]) -> None:
    staging, prod = chain
    package = released(staging, "champion")
    prod.put("releases/00000001-earlier.json", b"{}", prod.outputs.buckets.ledger.name)
    with pytest.raises(PreflightError, match="the champion is missing"):
        admit(role_of(prod), prod.outputs, claim(staging, prod, package))
