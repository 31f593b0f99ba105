"""The ledger: what went live, when, and on what evidence. Its objects are locked; each is written once.

promotions/<promotion id>/evidence.json        one for each promotion that touched the endpoint, however it ended
refusals/<promotion id>/<step>-<digest>.json   see `pipelines.promotion.refusals`
releases/<number, 8 digits>-<promotion id>.json   one for each release that went live, numbered from 1
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from infra.errors import IntegrityError, PreflightError
from pipelines.promotion.seam import Aws

_RELEASE = re.compile(r"^releases/(\d{8})-(.+)\.json$")


@dataclass(frozen=True, kw_only=True)
class Release:
    """An entry of the ledger. `operation` tells a rollback, which undoes the entry before it, from what adds one."""

    number: int
    promotion: str
    operation: str
    model_package_arn: str
    artefact_sha256: str
    image_digest: str
    endpoint_config: str
    spec_digest: str
    at: float


def evidence_key(promotion: str) -> str:
    return f"promotions/{promotion}/evidence.json"


def release_key(number: int, promotion: str) -> str:
    return f"releases/{number:08d}-{promotion}.json"


class Ledger:
    def __init__(self, aws: Aws, bucket: str) -> None:
        self._aws = aws
        self._bucket = bucket

    def releases(self) -> list[Release]:
        """All releases, oldest first."""
        entries = []
        for key in sorted(self._aws.keys(self._bucket, "releases/")):
            if _RELEASE.match(key):
                entries.append(Release(**self._read(key)))
        return entries

    def latest(self) -> Release | None:
        keys = sorted(key for key in self._aws.keys(self._bucket, "releases/") if _RELEASE.match(key))
        return Release(**self._read(keys[-1])) if keys else None

    def evidence(self, promotion: str) -> dict[str, Any] | None:
        body = self._aws.read_object(self._bucket, evidence_key(promotion))
        return None if body is None else dict(json.loads(body))

    def write_release(self, promotion: str, facts: dict[str, Any]) -> Release:
        """Add the promotion's release with the next number; the one that is there, if a former run wrote it."""
        numbers = {}
        for key in self._aws.keys(self._bucket, "releases/"):
            if found := _RELEASE.match(key):
                numbers[found[2]] = int(found[1])
        if promotion in numbers:
            return Release(**self._read(release_key(numbers[promotion], promotion)))
        release = Release(number=max(numbers.values(), default=0) + 1, promotion=promotion, **facts)
        self._write(release_key(release.number, promotion), vars(release))
        return release

    def write_evidence(self, promotion: str, facts: dict[str, Any]) -> None:
        self._write(evidence_key(promotion), facts)

    def _read(self, key: str) -> dict[str, Any]:
        body = self._aws.read_object(self._bucket, key)
        if body is None:
            raise IntegrityError(
                "the ledger lists an object that can't be read", where=f"s3://{self._bucket}/{key}", remedy="Look at its delete markers."
            )
        return dict(json.loads(body))

    def _write(self, key: str, value: dict[str, Any]) -> None:
        if not self._aws.read_object(self._bucket, key):
            self._aws.write_object_once(self._bucket, key, json.dumps(value, indent=2, sort_keys=True).encode())


def standing(releases: list[Release]) -> list[Release]:
    """The releases that still count, oldest first: a rollback takes the newest away, a redeploy or restore replaces it."""
    stack: list[Release] = []
    for release in releases:
        if release.operation == "rollback":
            del stack[-2:]
        elif release.operation in {"redeploy", "restore"}:
            del stack[-1:]
        stack.append(release)
    return stack


def former(releases: list[Release], where: str) -> Release:
    """The release that a rollback brings back.

    Raises:
        PreflightError: there is none.
    """
    stack = standing(releases)
    if len(stack) < 2:
        raise PreflightError("the ledger knows no release before the present one", where=where, remedy="There is nothing to roll back to.")
    return stack[-2]


def check_released(evidence: dict[str, Any] | None, *, package: str, artefact: str, image_digest: str, where: str) -> None:
    """Refuse a package that the source environment has not released, or not with these very bytes."""
    if evidence is None or evidence.get("outcome") != "released":
        said = "nothing" if evidence is None else repr(evidence.get("outcome"))
        raise PreflightError(
            f"there is no evidence that the package was released in its source environment (the ledger says {said})",
            where=where,
            remedy="Release it there first; this environment admits nothing that has not served there.",
        )
    expected = {"model_package_arn": package, "artefact_sha256": artefact, "image_digest": image_digest}
    for key, value in expected.items():
        if evidence.get(key) != value:
            raise IntegrityError(
                f"the source released {key} {evidence.get(key)!r}, the candidate has {value!r}",
                where=where,
                remedy="Promote the package that was released.",
            )
