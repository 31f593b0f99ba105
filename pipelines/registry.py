"""Model packages: what is written of a candidate when it is registered, and how it is read back.

Artefacts are addressed by content: `s3://<artefacts>/models/<sha256>/model.tar.gz`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from typing import Any, Literal

from infra.errors import IntegrityError, UsageError

Approval = Literal["Approved", "PendingManualApproval", "Rejected"]

# CustomerMetadataProperties take letters, digits, spaces and _.:/=+-@ (botocore, CustomerMetadataValue), 1 to 256 characters.
_NOT_ALLOWED = re.compile(r"[^\w .:/=+\-@]")
_METADATA = (
    "workload", "artefact_sha256", "image_digest", "data_sha256", "code_sha256", "golden_sha256", "gates", "gates_uri",
    "evaluation_uri", "promotion_id", "source_model_package_arn", "requested_by",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """All that a model package says of a candidate.

    `image` is `<repository uri>@sha256:...`, `image_digest` its part from `sha256:` on; other digests are bare hex.
    `evaluation_uri` and `gates_uri` name the JSON files. `requested_by` is an ARN. Empty text: not known, or not applicable.
    """

    workload: str
    image: str
    image_digest: str
    model_uri: str
    artefact_sha256: str
    data_sha256: str
    code_sha256: str
    golden_sha256: str
    gates: str
    gates_uri: str
    evaluation_uri: str
    requested_by: str
    promotion_id: str = ""
    source_model_package_arn: str = ""
    generated_by: str = ""

    def metadata(self) -> dict[str, str]:
        """CustomerMetadataProperties: keys with hyphens, empty values left out."""
        values = {name.replace("_", "-"): _NOT_ALLOWED.sub("_", getattr(self, name))[:256] for name in _METADATA}
        return {name: value for name, value in values.items() if value}


def model_uri(artefacts_bucket: str, sha256: str) -> str:
    """Where the artefact with that digest lies."""
    return f"s3://{artefacts_bucket}/models/{sha256}/model.tar.gz"


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI. Raises UsageError if it is none."""
    match = re.fullmatch(r"s3://([^/]+)/(.+)", uri)
    if not match:
        raise UsageError(f"{uri!r} is no S3 URI of an object")
    return match.group(1), match.group(2)


def image_digest(image: str) -> str:
    """`sha256:...` of an image reference. Raises IntegrityError if the reference names none."""
    match = re.fullmatch(r"[^@]+@(sha256:[0-9a-f]{64})", image)
    if not match:
        raise IntegrityError("an image must be named by digest", where=image)
    return match.group(1)


def client_token(*parts: str) -> str:
    """A token for CreateModelPackage (at most 36 of letters, digits, hyphen), the same for the same parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:36]


def register(client: Any, group: str, record: CandidateRecord, approval_status: Approval, client_token: str) -> str:
    """Create a version in the model package group.

    Args:
        client: boto3's `sagemaker`.
        client_token: makes the call idempotent: the same token answers with the same package.

    Returns:
        ARN of the model package.
    """
    request: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"{record.workload} {record.artefact_sha256[:12]}",
        "InferenceSpecification": {
            "Containers": [{"Image": record.image, "ImageDigest": record.image_digest, "ModelDataUrl": record.model_uri}],
            "SupportedContentTypes": ["text/csv", "application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelApprovalStatus": approval_status,
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": record.evaluation_uri}}},
        "CustomerMetadataProperties": record.metadata(),
        "ClientToken": client_token,
    }
    if record.generated_by:
        request["MetadataProperties"] = {"GeneratedBy": record.generated_by}
    answer: dict[str, Any] = client.create_model_package(**request)
    return str(answer["ModelPackageArn"])


def describe(client: Any, arn: str) -> CandidateRecord:
    """The record of a model package. Raises IntegrityError if the package is none that `register` could have made."""
    return from_description(client.describe_model_package(ModelPackageName=arn))


def from_description(answer: dict[str, Any]) -> CandidateRecord:
    """The record in an answer of DescribeModelPackage."""
    where = str(answer.get("ModelPackageArn", "model package"))
    containers = answer.get("InferenceSpecification", {}).get("Containers", [])
    if len(containers) != 1:
        raise IntegrityError(f"the package has {len(containers)} containers, one is expected", where=where)
    container = containers[0]
    metadata = {key.replace("-", "_"): value for key, value in answer.get("CustomerMetadataProperties", {}).items()}
    known = {field.name for field in fields(CandidateRecord)}
    values = {name: "" for name in _METADATA} | {name: value for name, value in metadata.items() if name in known}
    values["image_digest"] = image_digest(container["Image"])
    record = CandidateRecord(
        **values,
        image=container["Image"],
        model_uri=container.get("ModelDataUrl", ""),
        generated_by=answer.get("MetadataProperties", {}).get("GeneratedBy", ""),
    )
    if metadata.get("image_digest", record.image_digest) != record.image_digest:
        raise IntegrityError("the package names two image digests", where=where)
    if not re.fullmatch(r"[0-9a-f]{64}", record.artefact_sha256):
        raise IntegrityError("the package does not say the digest of its artefact", where=where)
    return record


def latest(client: Any, group: str, *, approval: Approval | None = None) -> str | None:
    """ARN of the newest version in the group, of that approval status if one is given; None if there is none."""
    request: dict[str, Any] = {"ModelPackageGroupName": group, "SortBy": "CreationTime", "SortOrder": "Descending"}
    if approval:
        request["ModelApprovalStatus"] = approval
    newest: tuple[int, str] | None = None
    for page in client.get_paginator("list_model_packages").paginate(**request):
        for package in page["ModelPackageSummaryList"]:
            version = int(package.get("ModelPackageVersion", 0))
            if newest is None or version > newest[0]:
                newest = (version, str(package["ModelPackageArn"]))
    return newest[1] if newest else None
