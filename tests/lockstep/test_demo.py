"""The demo's own decisions; the demo itself is run by CI."""

from __future__ import annotations

from typing import Any

from lockstep.demo.steps import trained


def package(version: int, digest: str, **other: Any) -> dict[str, Any]:
    arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/lockstep-dev-mortgage/{version}"
    known = {"version": version, "model_package_arn": arn, "image_digest": digest, "status": "Completed", "approval": "Approved"}
    return {**known, **other}


def test_a_candidate_of_the_same_image_is_not_trained_again() -> None:
    packages = [package(9, "sha256:b"), package(10, "sha256:a"), package(2, "sha256:a")]
    assert trained(packages, "sha256:a") == packages[1]["model_package_arn"]
    assert trained(packages, "sha256:c") is None
    assert trained([], "sha256:a") is None


def test_a_package_that_was_rejected_or_failed_is_no_candidate() -> None:
    packages = [package(1, "sha256:a", approval="Rejected"), package(2, "sha256:a", status="Failed")]
    assert trained(packages, "sha256:a") is None
