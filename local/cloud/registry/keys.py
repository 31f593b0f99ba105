"""Condition keys of calls that create or change a model package (service authorization reference of SageMaker)."""

from __future__ import annotations

from typing import Any

_CALLS = ("CreateModelPackage", "UpdateModelPackage")


def registry_keys(operation: str, request: dict[str, Any]) -> dict[str, str]:
    """The keys in lower case; one that the request says nothing about is absent."""
    if operation not in _CALLS:
        return {}
    stage, metadata = request.get("ModelLifeCycle") or {}, request.get("CustomerMetadataProperties") or {}
    given = {
        "sagemaker:modelapprovalstatus": request.get("ModelApprovalStatus"),
        "sagemaker:modellifecycle:stage": stage.get("Stage"),
        "sagemaker:modellifecycle:stagestatus": stage.get("StageStatus"),
        **{f"sagemaker:customermetadataproperties/{key}".lower(): value for key, value in metadata.items()},
    }
    return {key: str(value) for key, value in given.items() if value is not None}
