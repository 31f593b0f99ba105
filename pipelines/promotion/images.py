"""Container images across accounts: is it the one its digest names, and how it gets from one registry to another.

An image is copied manifest and layers as they are, so its digest stays the same.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any

from infra.errors import IntegrityError, PreflightError
from pipelines.promotion.candidate import ImageName
from pipelines.promotion.seam import Answer, Aws

BASE_LABEL = "dev.lockstep.base"
HOST_BASE = "host"
_PART = 10 * 1024 * 1024


def verified(aws: Aws, image: ImageName) -> Answer:
    """The image's manifest, if the registry still holds the bytes that the digest names under the tag they were pushed with.

    Raises:
        IntegrityError: it is gone, its manifest has another digest, or its tag was moved to another image.
    """
    where = f"{image.account}/{image.repository}@{image.digest}"
    found = aws.image(repository=image.repository, digest=image.digest, registry=image.account)
    if found is None:
        raise IntegrityError("the registry has no image by this digest", where=where, remedy="Push the image again and train with it.")
    actual = "sha256:" + hashlib.sha256(found["manifest"].encode()).hexdigest()
    if actual != image.digest:
        raise IntegrityError(
            f"the registry answers with a manifest of digest {actual}", where=where, remedy="Push the image again and train with it."
        )
    if not found["tags"]:
        raise IntegrityError(
            "no tag names this image any more: its tag was moved or removed, though tags are immutable here",
            where=where,
            remedy="Find out who re-tagged it. Push the image again under a new tag and train with that.",
        )
    return found


def check_base(aws: Aws, image: ImageName, manifest: dict[str, Any], *, allow_host: bool) -> None:
    """Refuse an image that has no operating system of its own, unless the environment says that it may run."""
    base = manifest.get("annotations", {}).get(BASE_LABEL)
    if base is None and isinstance(manifest.get("config"), dict):
        config = json.loads(_blob(aws, image, manifest["config"]["digest"]))
        base = ((config.get("config") or {}).get("Labels") or {}).get(BASE_LABEL)
    if base == HOST_BASE and not allow_host:
        raise PreflightError(
            "the image has the machine that runs it for a base, so it can run in a rehearsal only",
            where=f"{image.repository}@{image.digest}",
            remedy="Build it on a full base (`lockstep image build --base <reference by digest>`) and train with that.",
        )


def _blob(aws: Aws, image: ImageName, digest: str) -> bytes:
    url = aws.layer(repository=image.repository, digest=digest, registry=image.account)
    with urllib.request.urlopen(url, timeout=60) as answer:
        data: bytes = answer.read()
    actual = "sha256:" + hashlib.sha256(data).hexdigest()
    if actual != digest:
        raise IntegrityError(
            f"a layer's bytes have digest {actual}", where=f"{image.repository} layer {digest}", remedy="Push the image again."
        )
    return data


def copy(aws: Aws, source: ImageName, target: ImageName) -> None:
    """Bring an image from the source's registry into the target's, unless it is there.

    Args:
        target: another registry and repository; the same digest.
    """
    found = verified(aws, source)
    if aws.image(repository=target.repository, digest=target.digest, registry=target.account) is not None:
        verified(aws, target)
        return
    manifest = json.loads(found["manifest"])
    ecr = aws.client("ecr")
    place = {"registryId": target.account, "repositoryName": target.repository}
    for layer in [manifest["config"], *manifest["layers"]]:
        known = ecr.batch_check_layer_availability(**place, layerDigests=[layer["digest"]]).get("layers", [])
        if known and known[0].get("layerAvailability") == "AVAILABLE":
            continue
        data = _blob(aws, source, layer["digest"])
        upload = ecr.initiate_layer_upload(**place)["uploadId"]
        for first in range(0, len(data), _PART):
            part = data[first : first + _PART]
            ecr.upload_layer_part(**place, uploadId=upload, partFirstByte=first, partLastByte=first + len(part) - 1, layerPartBlob=part)
        ecr.complete_layer_upload(**place, uploadId=upload, layerDigests=[layer["digest"]])
    ecr.put_image(
        **place,
        imageManifest=found["manifest"],
        imageManifestMediaType=found["media_type"] or manifest.get("mediaType", ""),
        imageDigest=target.digest,
        imageTag=found["tags"][0],
    )
    verified(aws, target)
