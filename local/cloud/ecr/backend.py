"""The registry of one account and region. moto keeps repositories and policies; images and layers follow the API reference here."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

from moto.core.base_backend import BackendDict
from moto.ecr.exceptions import ImageAlreadyExistsException, UploadNotFoundException
from moto.ecr.models import ECRBackend as MotoECRBackend
from moto.ecr.models import Image as MotoImage
from moto.ecr.models import Repository

from local.cloud import context
from local.cloud.aws_errors import CloudError
from local.cloud.ecr import blobs

_LISTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


class Image(MotoImage):
    """An image whose digest is that of the manifest's exact bytes, and which has no tag once its last one was moved."""

    @property
    def image_id(self) -> dict[str, str]:
        tag = {"imageTag": self.image_tags[-1]} if self.image_tags else {}
        return {**tag, "imageDigest": self.get_image_digest()}

    def get_image_size_in_bytes(self) -> int | None:
        manifest = json.loads(self.image_manifest)
        if "layers" not in manifest:
            return None
        return int(manifest["config"]["size"]) + sum(int(layer["size"]) for layer in manifest["layers"])


class EcrBackend(MotoECRBackend):
    """Images and layers that are kept, checked and given back."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._lock = threading.RLock()

    def initiate_layer_upload(self, repository_name: str, registry_id: str | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = super().initiate_layer_upload(repository_name, registry_id)
        upload = self._get_repository(repository_name, registry_id).uploads[answer["uploadId"]]
        upload.layer_parts = blobs.Incoming(context.current())
        return answer

    def complete_layer_upload(
        self, repository_name: str, upload_id: str, layer_digests: list[str], registry_id: str | None = None
    ) -> dict[str, Any]:
        repository = self._get_repository(repository_name, registry_id)
        with self._lock:
            upload = repository.uploads.get(upload_id)
            if upload is None:
                raise UploadNotFoundException(upload_id, repository_name, repository.registry_id)
            data = upload.layer_parts
            place = f"in the repository with name '{repository_name}' in registry with id '{repository.registry_id}'"
            if not data:
                raise CloudError("EmptyUploadException", f"There are no layer parts for the upload '{upload_id}' {place}")
            digest = data.digest
            if layer_digests and digest not in layer_digests:
                raise CloudError(
                    "InvalidLayerException",
                    f"Layer digest '{layer_digests[0]}' does not match the digest of the uploaded bytes, '{digest}'",
                )
            del repository.uploads[upload_id]
            if digest in repository.layers:
                data.drop()
                raise CloudError("LayerAlreadyExistsException", f"Layer with digest '{digest}' already exists {place}")
            data.keep()
            repository.layers[digest] = len(data)
        return {"registryId": repository.registry_id, "repositoryName": repository_name, "uploadId": upload_id, "layerDigest": digest}

    def put_image(
        self,
        repository_name: str,
        image_manifest: str,
        image_tag: str,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> Image:
        with self._lock:
            repository = self._get_repository(repository_name)
            media_type, computed = self._checked_manifest(repository, image_manifest, image_manifest_mediatype, digest)
            image: Image | None = next((held for held in repository.images if held.get_image_digest() == computed), None)
            if image is not None and (not image_tag or image_tag in image.image_tags):
                raise ImageAlreadyExistsException(
                    registry_id=repository.registry_id, image_tag=image_tag, digest=computed, repository_name=repository_name
                )
            holder = next((held for held in repository.images if image_tag and image_tag in held.image_tags), None)
            if holder is not None:
                if repository.is_tag_immutable():
                    raise CloudError(
                        "ImageTagAlreadyExistsException",
                        f"The image tag '{image_tag}' already exists in the '{repository_name}' repository "
                        "and cannot be overwritten because the tag is immutable.",
                    )
                holder.remove_tag(image_tag)
            if image is None:
                image = Image(self.account_id, image_tag, image_manifest, repository_name, media_type, computed)
                image.image_pushed_at = int(context.current().clock.time())
                repository.images.append(image)
            else:
                image.update_tag(image_tag)
            return image

    def _checked_manifest(self, repository: Repository, text: str, media_type: str | None, digest: str | None) -> tuple[str, str]:
        """Media type and digest of a manifest whose every part is in the repository."""
        try:
            manifest = json.loads(text)
        except ValueError:
            raise _invalid("Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'") from None
        media_type = media_type or manifest.get("mediaType")
        if not media_type:
            raise _invalid("image manifest mediatype not provided in manifest or parameter")
        computed = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        if digest and digest != computed:
            raise CloudError(
                "ImageDigestDoesNotMatchException",
                f"The provided digest '{digest}' does not match the digest of the manifest, '{computed}'",
            )
        if media_type in _LISTS:
            held = {image.get_image_digest() for image in repository.images}
            missing = [part["digest"] for part in manifest.get("manifests", []) if part["digest"] not in held]
            if missing:
                raise CloudError(
                    "ReferencedImagesNotFoundException",
                    f"Images with digests {missing} required for pushing image into repository not found",
                )
            return media_type, computed
        parts = [manifest.get("config", {}), *manifest.get("layers", [])]
        missing = [part.get("digest") for part in parts if part.get("digest") not in repository.layers]
        if missing:
            raise CloudError(
                "LayersNotFoundException",
                f"Layers with digests '[{', '.join(map(str, missing))}]' required for pushing image into repository with name "
                f"'{repository.name}' in the registry with id '{repository.registry_id}' not found",
            )
        return media_type, computed

    def download_url(self, repository_name: str, layer_digest: str, registry_id: str | None) -> dict[str, str]:
        repository = self._get_repository(repository_name, registry_id)
        if layer_digest not in repository.layers:
            raise CloudError(
                "LayersNotFoundException",
                f"Layer with digest '{layer_digest}' could not be found in the repository with name '{repository_name}' "
                f"in registry with id '{repository.registry_id}'",
            )
        return {"downloadUrl": blobs.url_of(context.current(), layer_digest), "layerDigest": layer_digest}


def _invalid(message: str) -> CloudError:
    return CloudError("InvalidParameterException", message)


def manifest_type(account: str, region: str, repository: str, image_id: dict[str, str]) -> str | None:
    """The media type of the manifest that an image id (`imageDigest` or `imageTag`) names; None where there is no such image."""
    if region not in backends[account]:
        return None
    held = backends[account][region].repositories.get(repository)
    for image in held.images if held else []:
        if image_id.get("imageDigest") == image.get_image_digest() or image_id.get("imageTag") in image.image_tags:
            return str(image.image_manifest_media_type)
    return None


backends: BackendDict[EcrBackend] = BackendDict(EcrBackend, "ecr")
