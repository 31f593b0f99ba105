"""Layer blobs on disk, by digest, and the signed URLs by which they are fetched (on AWS: S3's presigned ones)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path

from local.cloud.context import Cloud
from local.cloud.http import HttpRequest, HttpResponse

LIFETIME = 3600  # seconds that a download URL is good for
_PAGE = "/_lockstep/layers/"
_KEY = secrets.token_bytes(32)


def install(cloud: Cloud) -> None:
    cloud.fast_routes.append(
        (re.compile(re.escape(_PAGE) + r"(sha256:[0-9a-f]{64})$"), lambda request, found: _serve(cloud, request, found[1]))
    )


def path_of(cloud: Cloud, digest: str) -> Path:
    """Where a blob lies; equal blobs of several repositories are one file."""
    return cloud.home / "layers" / digest.removeprefix("sha256:")


class Incoming:
    """A layer on its way up, in a file: a bytearray as far as moto's uploads use one, since real layers do not fit into memory."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._path = cloud.home / "layers" / f"incoming.{secrets.token_hex(8)}"
        self._hasher = hashlib.sha256()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iadd__(self, data: bytes) -> Incoming:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as stream:
            stream.write(data)
        self._hasher.update(data)
        self._size += len(data)
        return self

    @property
    def digest(self) -> str:
        return f"sha256:{self._hasher.hexdigest()}"

    def keep(self) -> None:
        """It is whole: let it be found by its digest."""
        self._path.replace(path_of(self._cloud, self.digest))

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)


def url_of(cloud: Cloud, digest: str) -> str:
    expires = int(cloud.clock.unscaled()) + LIFETIME
    return f"{cloud.url}{_PAGE}{digest}?expires={expires}&signature={_sign(digest, expires)}"


def _sign(digest: str, expires: int) -> str:
    return hmac.new(_KEY, f"{digest} {expires}".encode(), hashlib.sha256).hexdigest()


def _serve(cloud: Cloud, request: HttpRequest, digest: str) -> HttpResponse:
    found = re.fullmatch(r"expires=(\d+)&signature=([0-9a-f]{64})", request.query)
    if found is None or not hmac.compare_digest(_sign(digest, int(found[1])), found[2]) or cloud.clock.unscaled() > int(found[1]):
        return HttpResponse(403, [("Content-Type", "text/plain")], b"the URL is not signed, or has expired\n")
    path, headers = path_of(cloud, digest), [("Content-Type", "application/octet-stream")]
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("range"))
    if asked is None:
        return HttpResponse(200, headers, path)
    size = path.stat().st_size
    first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
    if first > last:
        return HttpResponse(416, [("Content-Range", f"bytes */{size}")])
    with path.open("rb") as stream:
        stream.seek(first)
        part = stream.read(last - first + 1)
    return HttpResponse(206, [*headers, ("Content-Range", f"bytes {first}-{last}/{size}")], part)
