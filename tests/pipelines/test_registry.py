"""Model packages: what is written is what is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.errors import IntegrityError
from pipelines import registry
from pipelines.registry import CandidateRecord

DIGEST = "sha256:" + "a" * 64
RECORD = CandidateRecord(
    workload="mortgage",
    image=f"111111111111.dkr.ecr.us-east-1.amazonaws.com/w@{DIGEST}",
    image_digest=DIGEST,
    model_uri=registry.model_uri("bucket", "b" * 64),
    artefact_sha256="b" * 64,
    data_sha256="c" * 64,
    code_sha256="d" * 64,
    golden_sha256="e" * 64,
    gates="10 passed",
    gates_uri="s3://bucket/gates.json",
    evaluation_uri="s3://bucket/evaluation.json",
    requested_by="arn:aws:sts::111111111111:assumed-role/r/ann@example.com",
)


class Group:
    """A model package group that answers as the service does: the same token, the same package."""

    def __init__(self) -> None:
        self.packages: dict[str, dict[str, Any]] = {}

    def create_model_package(self, **request: Any) -> dict[str, str]:
        arn = f"arn:package/{request['ClientToken'][:6]}"
        self.packages.setdefault(arn, request | {"ModelPackageArn": arn})
        return {"ModelPackageArn": arn}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        return self.packages[ModelPackageName]


@pytest.mark.parametrize(
    "record", [RECORD, replace(RECORD, promotion_id="p-1", source_model_package_arn="arn:aws:s", generated_by="arn:run")]
)
def test_a_record_comes_back_as_it_was_registered(record: CandidateRecord) -> None:
    group = Group()
    arn = registry.register(group, "g", record, "PendingManualApproval", registry.client_token("x"))
    assert registry.describe(group, arn) == record
    assert registry.register(group, "g", record, "Approved", registry.client_token("x")) == arn


def test_metadata_keeps_to_what_the_service_takes() -> None:
    values = replace(RECORD, gates="fairness: 0.2 > 0.1 (by 0.1), refused" + "!" * 300).metadata()
    assert len(values["gates"]) == 256
    assert values["gates"].startswith("fairness: 0.2 _ 0.1 _by 0.1__ refused_")
    assert "promotion-id" not in values


def test_a_client_token_depends_on_every_part_and_fits() -> None:
    assert registry.client_token("a", "b") != registry.client_token("ab")
    assert len(registry.client_token("a")) == 36


@pytest.mark.parametrize("image", ["repo:latest", "repo@sha256:abc", ""])
def test_an_image_that_is_not_named_by_digest_is_refused(image: str) -> None:
    with pytest.raises(IntegrityError, match="named by digest"):
        registry.image_digest(image)


def test_a_foreign_package_is_refused() -> None:
    group = Group()
    arn = registry.register(group, "g", RECORD, "Approved", "t")
    group.packages[arn]["CustomerMetadataProperties"]["image-digest"] = "sha256:" + "0" * 64
    with pytest.raises(IntegrityError, match="two image digests"):
        registry.describe(group, arn)
    group.packages[arn]["CustomerMetadataProperties"] = {}
    with pytest.raises(IntegrityError, match="does not say the digest"):
        registry.describe(group, arn)
