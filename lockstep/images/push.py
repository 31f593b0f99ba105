"""Push an image through the ECR API; layers that the repository has are neither read nor sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from infra.errors import ConflictError, LockstepError
from lockstep.images import inspection
from lockstep.images.image import MANIFEST, Blob, Image
from pipelines.promotion.images import PART, upload

AT_ONCE = 100  # layers that BatchCheckLayerAvailability takes


def push(client: Any, repository: str, image: Image, progress: Callable[[str], None] = lambda _: None) -> str:
    """Push `image` to `repository` and tag it with its own digest's beginning. Never more than a part of a layer is in memory.

    Args:
        client: boto3's `ecr`.
        progress: called with one line per blob, and where it is large with one for each tenth of it.

    Returns:
        The manifest's digest, as the registry says it.

    Raises:
        ConflictError: the tag names other bytes.
        ConfigError: the base lacks what every image of ours needs.
        LockstepError: the registry answered another digest than the one sent, or a layer of the base can't be read.
    """
    available = _available(client, repository, [blob.digest for blob in image.blobs])
    if image.base and any(layer.digest not in available for layer in image.base.layers):
        progress(f"base {image.base.name}")
        inspection.check(image.base, progress)
    for blob in image.blobs:
        line = f"{blob.digest[:19]}  {blob.size:>11,} bytes"
        if blob.digest in available:
            progress(f"{line}  already there")
            continue
        _upload(client, repository, blob, partial(_tell, progress, line))
        progress(f"{line}  pushed")
    try:
        put = client.put_image(
            repositoryName=repository,
            imageManifest=image.manifest.decode(),
            imageManifestMediaType=MANIFEST,
            imageTag=image.tag,
            imageDigest=image.digest,
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ImageAlreadyExistsException":
            return image.digest
        if code == "ImageTagAlreadyExistsException":
            raise ConflictError(f"the tag {image.tag} names another image", where=repository) from error
        raise
    answered = put["image"]["imageId"]["imageDigest"]
    if answered != image.digest:
        raise LockstepError(f"the registry names the image {answered}, its bytes are {image.digest}", where=repository)
    return image.digest


def _available(client: Any, repository: str, digests: list[str]) -> set[str]:
    found = set()
    for start in range(0, len(digests), AT_ONCE):
        answer = client.batch_check_layer_availability(repositoryName=repository, layerDigests=digests[start : start + AT_ONCE])
        found |= {layer["layerDigest"] for layer in answer["layers"] if layer.get("layerAvailability") == "AVAILABLE"}
    return found


def _tell(progress: Callable[[str], None], line: str, share: float) -> None:
    progress(f"{line}  {share:.0%}")


def _upload(client: Any, repository: str, blob: Blob, progress: Callable[[float], None]) -> None:
    with blob.open() as stream:  # before anything is begun in the repository: the base's registry may not answer
        upload(client, {"repositoryName": repository}, blob.digest, _parts(stream, blob.size, progress))


def _parts(stream: BinaryIO, size: int, progress: Callable[[float], None]) -> Iterator[bytes]:
    """The bytes in parts; each tenth of them that has been taken, but for the last, is told."""
    first = 0
    while part := stream.read(PART):
        yield part
        tenths = first * 10 // size
        first += len(part)
        if first < size and first * 10 // size > tenths:
            progress(first / size)
