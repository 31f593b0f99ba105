"""A model package as promotion sees it, read from DescribeModelPackage."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from infra.errors import IntegrityError

_IMAGE = re.compile(
    r"^(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com[a-z.]*)/(?P<repository>[^@:]+)@(?P<digest>sha256:[0-9a-f]{64})$"
)
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, kw_only=True)
class ImageName:
    """An image by digest: the only way in which a release may name one."""

    account: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, uri: str, where: str) -> ImageName:
        found = _IMAGE.match(uri)
        if found is None:
            raise IntegrityError(
                f"the image {uri!r} is not named by digest in a private registry",
                where=where,
                remedy="Register the package with `<repository>@sha256:<digest>`; a tag can be moved to other bytes.",
            )
        return cls(account=found["account"], repository=found["repository"], digest=found["digest"])


def split_s3(uri: str, where: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise IntegrityError(f"{uri!r} is not the URI of an object in S3", where=where, remedy="Register the package again.")
    return bucket, key


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a package says of itself. Digests are hex without a prefix, except the image's, which has `sha256:`.

    `created_by` and `modified_by` are what AWS says (UserContext), `generated_by` the ARN of the run that registered it, set for good then.
    """

    arn: str
    status: str
    approval: str
    image: str
    model_data_url: str
    metadata: dict[str, str]
    created_by: dict[str, Any] = field(default_factory=dict)
    modified_by: dict[str, Any] = field(default_factory=dict)
    generated_by: str = ""

    @classmethod
    def parse(cls, description: dict[str, Any]) -> Candidate:
        arn = str(description["ModelPackageArn"])
        containers = description.get("InferenceSpecification", {}).get("Containers", [])
        if len(containers) != 1 or not containers[0].get("ModelDataUrl"):
            raise IntegrityError("a package must hold one container with one artefact", where=arn, remedy="Register the package again.")
        return cls(
            arn=arn,
            status=str(description.get("ModelPackageStatus", "")),
            approval=str(description.get("ModelApprovalStatus", "")),
            image=containers[0]["Image"],
            model_data_url=containers[0]["ModelDataUrl"],
            metadata=dict(description.get("CustomerMetadataProperties", {})),
            created_by=dict(description.get("CreatedBy") or {}),
            modified_by=dict(description.get("LastModifiedBy") or {}),
            generated_by=str((description.get("MetadataProperties") or {}).get("GeneratedBy", "")),
        )

    def value(self, key: str) -> str:
        """A metadata value that must be there."""
        value = self.metadata.get(key, "")
        if not value:
            raise IntegrityError(
                f"the package does not say its {key}", where=self.arn, remedy="Register the package again; evidence must be complete."
            )
        return value

    def digest(self, key: str) -> str:
        value = self.value(key).removeprefix("sha256:")
        if not _SHA256.match(value):
            raise IntegrityError(f"{key} {value!r} is no SHA-256", where=self.arn, remedy="Register the package again.")
        return value

    @property
    def image_name(self) -> ImageName:
        name = ImageName.parse(self.image, self.arn)
        if self.digest("image-digest") != name.digest.removeprefix("sha256:"):
            raise IntegrityError(
                f"the container names {name.digest}, the metadata sha256:{self.digest('image-digest')}",
                where=self.arn,
                remedy="Register the package again: both must name the image that was evaluated.",
            )
        return name


def report_place(candidate: Candidate, key: str, bucket: str) -> tuple[str, str]:
    """Bucket and key of a report that the package names; it must lie where the environment's own jobs write, and nobody else."""
    uri = candidate.value(key)
    found = split_s3(uri, candidate.arn)
    if found[0] != bucket:
        raise IntegrityError(
            f"the package's {key} lies outside its environment's bucket {bucket}", where=uri, remedy="Evaluate and register it again."
        )
    return found


def check_gates(text: bytes | None, candidate: Candidate, where: str) -> dict[str, Any]:
    """The gates' report, if it says that this very candidate passed them. What is missing or is no number never passes."""
    report = _json(text, where)
    if report.get("passed") is not True:
        raise IntegrityError(
            f"the gates' report does not say that they passed: {report.get('summary', 'no summary')}",
            where=where,
            remedy="Promote another package.",
        )
    _check_subject("gates' report", report, candidate, where)
    return report


def check_evaluation(text: bytes | None, candidate: Candidate, where: str) -> dict[str, Any]:
    """The evaluation, if it is of this package's very artefact and image, on its golden data, and all its metrics are numbers."""
    report = _json(text, where)
    if report.get("applicable") is not True or not isinstance(report.get("metrics"), dict) or not report["metrics"]:
        raise IntegrityError("the evaluation has no metrics", where=where, remedy="Evaluate the candidate again.")
    for name, value in report["metrics"].items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise IntegrityError(f"metric {name} is {value!r}, not a number", where=where, remedy="Evaluate the candidate again.")
    _check_subject("evaluation", report, candidate, where)
    return report


def _check_subject(what: str, report: dict[str, Any], candidate: Candidate, where: str) -> None:
    image = str(report.get("image", ""))
    said = {
        "artefact": (report.get("artefact_sha256"), candidate.digest("artefact-sha256")),
        "image": (image[image.rfind("@") + 1 :], candidate.image_name.digest),
        "golden data": (report.get("golden_sha256"), candidate.digest("golden-sha256")),
    }
    for name, (judged, held) in said.items():
        if judged != held:
            raise IntegrityError(
                f"the {what} is of {name} {judged}, the package holds {held}",
                where=where,
                remedy="Evaluate and register the candidate again.",
            )


def _json(text: bytes | None, where: str) -> dict[str, Any]:
    if text is None:
        raise IntegrityError(
            "there is no such object", where=where, remedy="Evidence that is missing never passes; evaluate the candidate again."
        )
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise IntegrityError("it is not a JSON object", where=where, remedy="Evaluate the candidate again.")
    return value
