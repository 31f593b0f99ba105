"""Container images across accounts: is it the one its digest names, and how it gets from one registry to another.

An image is copied manifest and layers as they are, so its digest stays the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPException
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import IntegrityError, LockstepError, PreflightError
from pipelines.promotion.candidate import ImageName
from pipelines.promotion.seam import Answer, Aws, code

BASE_LABEL = "dev.lockstep.base"
HOST_BASE = "host"
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
PART = 10 * 1024 * 1024  # bytes; ECR takes parts of 5 to 20 MiB
_ATTEMPTS = 4


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
    """Refuse an image that has no operating system of its own, unless the environment says that it may run.

    An image says what it stands on in the label `dev.lockstep.base`: `host`, or a full base by digest. One that says neither is refused
    as well: nobody could tell later what was released.

    Raises:
        PreflightError: it may not run here.
        IntegrityError: its config is not the one that the manifest names.
    """
    if allow_host:
        return
    base = _base(aws, image, manifest)
    if _BY_DIGEST.fullmatch(base):
        return
    problem = "the image does not say by digest what it stands on" + (f", but {base!r}" if base else "")
    if base == HOST_BASE:
        problem = "the image has the machine that runs it for a base, so it can run in a rehearsal only"
    raise PreflightError(
        problem,
        where=f"{image.repository}@{image.digest}",
        remedy="Name a full base by digest in images.yaml (docs/aws.md), push the image again and train with that.",
    )


def _base(aws: Aws, image: ImageName, manifest: dict[str, Any]) -> str:
    """The label, in the config or among the manifest's annotations; empty if there is none."""
    said = (manifest.get("annotations") or {}).get(BASE_LABEL)
    config = manifest.get("config")
    if said is None and isinstance(config, dict):
        text = b"".join(_checked(_parts(aws, image, config), image, config["digest"]))
        said = ((json.loads(text).get("config") or {}).get("Labels") or {}).get(BASE_LABEL)
    return str(said or "")


def copy(aws: Aws, source: ImageName, target: ImageName, progress: Callable[[str], None] = lambda _: None) -> None:
    """Bring an image from the source's registry into the target's, unless it is there. No more than a part of a layer is in memory.

    Layers that are there already, of a former copy that broke off or of another image, are not carried again.

    Args:
        target: another registry and repository; the same digest.
        progress: called with one line per layer.

    Raises:
        IntegrityError: bytes are not those of their digest.
        LockstepError: a layer can't be read; what was copied so far is not an image yet.
    """
    found = verified(aws, source)
    if aws.image(repository=target.repository, digest=target.digest, registry=target.account) is not None:
        verified(aws, target)
        return
    manifest = json.loads(found["manifest"])
    ecr = aws.client("ecr")
    place = {"registryId": target.account, "repositoryName": target.repository}
    for layer in {each["digest"]: each for each in [manifest["config"], *manifest["layers"]]}.values():
        known = ecr.batch_check_layer_availability(**place, layerDigests=[layer["digest"]]).get("layers", [])
        if known and known[0].get("layerAvailability") == "AVAILABLE":
            progress(f"{layer['digest']}  {layer['size']:>11,} bytes  already here")
            continue
        upload(ecr, place, layer["digest"], _checked(_parts(aws, source, layer), source, layer["digest"]))
        progress(f"{layer['digest']}  {layer['size']:>11,} bytes  copied")
    ecr.put_image(
        **place,
        imageManifest=found["manifest"],
        imageManifestMediaType=found["media_type"] or manifest.get("mediaType", ""),
        imageDigest=target.digest,
        imageTag=found["tags"][0],
    )
    verified(aws, target)


def upload(ecr: Any, place: dict[str, str], digest: str, parts: Iterable[bytes]) -> None:
    """Upload a layer.

    Args:
        ecr: boto3's `ecr`.
        place: `repositoryName`, and `registryId` where it is not the caller's.
        parts: the layer's bytes, `PART` of them at a time.
    """
    upload_id = ecr.initiate_layer_upload(**place)["uploadId"]
    first = 0
    for part in parts:
        ecr.upload_layer_part(**place, uploadId=upload_id, partFirstByte=first, partLastByte=first + len(part) - 1, layerPartBlob=part)
        first += len(part)
    try:
        ecr.complete_layer_upload(**place, uploadId=upload_id, layerDigests=[digest])
    except ClientError as error:
        if code(error) != "LayerAlreadyExistsException":  # somebody brought it meanwhile: the bytes are the same
            raise


def _checked(parts: Iterable[bytes], image: ImageName, digest: str) -> Iterator[bytes]:
    """The same parts; IntegrityError at their end if together they are not what the digest names."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
        yield part
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise IntegrityError(
            f"a layer's bytes have digest sha256:{hasher.hexdigest()}",
            where=f"{image.repository} layer {digest}",
            remedy="Push the image again.",
        )


def _parts(aws: Aws, image: ImageName, layer: dict[str, Any]) -> Iterator[bytes]:
    size = int(layer["size"])
    for first in range(0, size, PART):
        yield _part(aws, image, layer["digest"], first, min(first + PART, size) - 1)


def _part(aws: Aws, image: ImageName, digest: str, first: int, last: int) -> bytes:
    """Bytes `first` to `last` of a layer, each time by a URL of its own: one lasts an hour, and a large layer may take longer."""
    failures = 0
    while True:
        url = aws.layer(repository=image.repository, digest=digest, registry=image.account)
        try:
            return _ranged(url, first, last)
        except (OSError, HTTPException) as error:
            failures += 1
            if failures == _ATTEMPTS:
                raise LockstepError(
                    f"a layer can't be read: {error}",
                    where=f"{image.repository} layer {digest}, from byte {first}",
                    remedy="Start the promotion again: layers that are copied already are not copied again.",
                ) from error
        aws.sleep(failures)


def _ranged(url: str, first: int, last: int) -> bytes:
    """Bytes `first` to `last` of what a URL gives. Raises OSError if it gives anything else."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={first}-{last}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        data: bytes = answer.read(last - first + 1)
        status = answer.status
    if len(data) != last - first + 1 or (first and status != 206):
        raise OSError(f"{len(data)} of {last - first + 1} bytes came, with status {status}")
    return data
