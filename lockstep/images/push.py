"""Push an image through the ECR API; layers that the repository has are not sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import ConflictError, LockstepError
from lockstep.images import oci

PART = 10 * 1024 * 1024  # UploadLayerPart takes at most 20 MiB


def push(client: Any, repository: str, image: oci.Image, progress: Callable[[str], None] = lambda _: None) -> str:
    """Push `image` to `repository` and tag it with its own digest's beginning.

    Args:
        client: boto3's `ecr`.
        progress: called with one line per blob.

    Returns:
        The manifest's digest, as the registry says it.

    Raises:
        ConflictError: the tag names other bytes.
        LockstepError: the registry answered another digest than the one sent, or could not check a layer.
    """
    answer = client.batch_check_layer_availability(repositoryName=repository, layerDigests=list(image.blobs))
    available = {layer["layerDigest"] for layer in answer["layers"] if layer.get("layerAvailability") == "AVAILABLE"}
    for name, blob in image.blobs.items():
        if name in available:
            progress(f"{name[:19]}  {len(blob):>9,} bytes  already there")
            continue
        _upload(client, repository, name, blob)
        progress(f"{name[:19]}  {len(blob):>9,} bytes  pushed")
    try:
        put = client.put_image(
            repositoryName=repository,
            imageManifest=image.manifest.decode(),
            imageManifestMediaType=oci.MANIFEST,
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


def _upload(client: Any, repository: str, name: str, blob: bytes) -> None:
    upload = client.initiate_layer_upload(repositoryName=repository)
    for start in range(0, len(blob), PART):
        part = blob[start : start + PART]
        client.upload_layer_part(
            repositoryName=repository,
            uploadId=upload["uploadId"],
            partFirstByte=start,
            partLastByte=start + len(part) - 1,
            layerPartBlob=part,
        )
    try:
        client.complete_layer_upload(repositoryName=repository, uploadId=upload["uploadId"], layerDigests=[name])
    except ClientError as error:
        if error.response["Error"]["Code"] != "LayerAlreadyExistsException":  # somebody pushed it meanwhile: the bytes are the same
            raise
