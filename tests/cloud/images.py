"""Tiny container images for tests: made in memory, pushed through the ECR API, run by digest."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def push_image(
    session: Any,
    repository: str,
    files: Mapping[str, bytes | str],
    env: Mapping[str, str] | None = None,
    lock: str = "",
    *,
    tag: str = "",
    base: str = "host",
    entrypoint: list[str] | None = None,
) -> str:
    """Push an image of `files` and return its `uri@digest`; the repository is made where it is missing.

    A path of `files` is relative to /opt/program unless it starts with a slash; what lies in a `bin` folder is executable.
    `session` is a boto3 session bound to the cloud. `lock` is the text of requirements.lock (empty: a bare Python).
    """
    ecr = session.client("ecr")
    try:
        found = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    except ecr.exceptions.RepositoryNotFoundException:
        found = ecr.create_repository(repositoryName=repository)["repository"]
    layer = _layer({**files, "requirements.lock": lock})
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": [
                    f"{k}={v}" for k, v in {"PATH": "/opt/program/bin:/usr/bin:/bin", "PYTHONPATH": "/opt/program", **(env or {})}.items()
                ],
                "WorkingDir": "/opt/program",
                "Labels": {"dev.lockstep.base": base},
                **({"Entrypoint": entrypoint} if entrypoint else {}),
            },
            "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]},
        },
        sort_keys=True,
    ).encode()
    for blob in (layer, config):
        _upload(ecr, repository, blob)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": _digest(layer), "size": len(layer)}],
        },
        sort_keys=True,
    )
    digest = _digest(manifest.encode())
    with contextlib.suppress(ecr.exceptions.ImageAlreadyExistsException):
        ecr.put_image(
            repositoryName=repository,
            imageManifest=manifest,
            imageManifestMediaType=MANIFEST,
            imageTag=tag or digest.removeprefix("sha256:")[:12],
            imageDigest=digest,
        )
    return f"{found['repositoryUri']}@{digest}"


def _layer(files: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path, content in sorted(files.items()):
            name = path.lstrip("/") if path.startswith("/") else f"opt/program/{path}"
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if "/bin/" in f"/{name}" else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _upload(ecr: Any, repository: str, blob: bytes) -> None:
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    ecr.upload_layer_part(repositoryName=repository, uploadId=upload, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob)
    with contextlib.suppress(ecr.exceptions.LayerAlreadyExistsException):
        ecr.complete_layer_upload(repositoryName=repository, uploadId=upload, layerDigests=[_digest(blob)])


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
