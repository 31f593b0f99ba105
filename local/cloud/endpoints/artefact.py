"""A variant's container as it is to run: image, model data in a folder, environment, credentials."""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local.cloud.containers.images import ImageError
from local.cloud.containers.runtime import PreparedImage, runtime_of
from local.cloud.iam.rights import lacking, network_needs
from local.errors import LocalError

from .records import ModelRecord

if TYPE_CHECKING:
    from local.cloud.context import Cloud


class LaunchError(Exception):
    """An instance can't run; the message is what FailureReason says."""


class Artefact:
    """What every instance of one variant starts from, fetched once with the rights of the model's execution role."""

    def __init__(self, cloud: Cloud, account: str, region: str, model: ModelRecord, folder: Path) -> None:
        self._cloud, self._runtime = cloud, runtime_of(cloud)
        self._account, self._region = account, region
        self.model = model
        self._folder = folder
        self.container = self._resolved(model.containers[0])
        self.image: PreparedImage | None = None

    def fetch(self) -> PreparedImage:
        """Pulls the image and downloads the model data. Raises LaunchError in the words of AWS."""
        image = self.container.get("Image")
        if not image:
            raise LaunchError("The model names no container image.")
        role = self.model.given.get("ExecutionRoleArn")
        refused = lacking(self._cloud, role, self._region, network_needs(self.model.given.get("VpcConfig"), self._account, self._region))
        if refused is not None:
            raise LaunchError(f"The execution role can't attach the model's container to its VPC: {refused}")
        try:
            self.image = self._runtime.prepare(image, account=self._account, region=self._region, role_arn=role)
        except (ImageError, ClientError, LocalError) as error:
            reason = error.message if isinstance(error, LocalError) else str(error)
            raise LaunchError(
                f"Failed to pull the container image {image}: {reason} Please make sure all images included in the model exist, and that "
                "the execution role used to create the model has permissions to access them."
            ) from error
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.container.get("ModelDataUrl"):
            self._download_archive(self.container["ModelDataUrl"])
        elif self.container.get("ModelDataSource"):
            self._download_source(self.container["ModelDataSource"]["S3DataSource"])
        return self.image

    def unpack(self, base: Path) -> None:
        """Puts the model data under `base`/model."""
        target = base / "model"
        target.mkdir(parents=True, exist_ok=True)
        archive = self._folder / "model.tar.gz"
        if archive.exists():
            try:
                with tarfile.open(archive, "r:gz") as packed:
                    packed.extractall(target, filter="data")
            except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
                url = self.container.get("ModelDataUrl", "")
                raise LaunchError(
                    f'Failed to extract model data archive from URL: "{url}". Please ensure that the object is a valid tar.gz archive.'
                ) from error
        elif (self._folder / "files").exists():
            shutil.copytree(self._folder / "files", target, dirs_exist_ok=True)

    def environment(self) -> dict[str, str]:
        """The environment of the model container."""
        return {str(k): str(v) for k, v in (self.container.get("Environment") or {}).items()}

    def discard(self) -> None:
        """Removes the fetched data."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder)

    def _resolved(self, container: Mapping[str, Any]) -> dict[str, Any]:
        package = container.get("ModelPackageName")
        if not package:
            return dict(container)
        client = self._runtime.client("sagemaker", self._account, self._region)
        try:
            found = client.describe_model_package(ModelPackageName=package)
        except ClientError as error:
            raise LaunchError(f"Could not describe model package {package}: {error.response['Error']['Message']}") from error
        if found.get("ModelPackageGroupName") and found.get("ModelApprovalStatus") != "Approved":
            raise LaunchError(
                f"Model package {package} can't be deployed: its approval status is {found.get('ModelApprovalStatus')}, not Approved."
            )
        inner = found["InferenceSpecification"]["Containers"][0]
        environment = {**(inner.get("Environment") or {}), **(container.get("Environment") or {})}
        return {k: inner[k] for k in ("Image", "ModelDataUrl", "ModelDataSource") if k in inner} | {"Environment": environment}

    def _s3(self) -> Any:
        return self._runtime.client("s3", self._account, self._region, self.model.given.get("ExecutionRoleArn"))

    def _download_archive(self, url: str) -> None:
        place = urlsplit(url)
        try:
            self._s3().download_file(place.netloc, place.path.lstrip("/"), str(self._folder / "model.tar.gz"))
        except (ClientError, BotoCoreError, LocalError, OSError) as error:
            raise LaunchError(_download_failed(url)) from error

    def _download_source(self, source: Mapping[str, Any]) -> None:
        url = source["S3Uri"]
        if source.get("CompressionType") == "Gzip":
            self._download_archive(url)
            return
        place = urlsplit(url)
        prefix = place.path.lstrip("/")
        try:
            for page in self._s3().get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix):
                for item in page.get("Contents", []):
                    target = self._folder / "files" / item["Key"].removeprefix(prefix).lstrip("/")
                    if not item["Key"].endswith("/"):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        self._s3().download_file(place.netloc, item["Key"], str(target))
        except (ClientError, BotoCoreError, LocalError, OSError) as error:
            raise LaunchError(_download_failed(url)) from error


def _download_failed(url: str) -> str:
    return (
        f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that there is an '
        "object located at the URL "
        "and that the role passed to CreateModel has permissions to download the object."
    )
