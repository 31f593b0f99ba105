"""A registry on loopback that speaks the pull half of the OCI distribution specification, with bearer tokens and faults on demand."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REPOSITORY = "library/python"
TOKEN = "let-me-read"
GLIBC = {"usr/lib64/ld-linux-x86-64.so.2": b"glibc"}
PYTHON = {"usr/local/bin/python": b"#!", "usr/local/bin/python3.12": b"#!"}


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """What it holds and how it behaves; set before asking.

    `login`: user name and password without which it gives no token; None: anybody gets one. `challenge`: "Bearer" or "Basic".
    `faults`: path below the repository -> status, answered `fault_count` times (-1: always). `cut_short`: digest -> how often a blob's
    answer breaks off in the middle. `ranges`: whether parts of blobs are given. `elsewhere`: blobs are, as in most registries, on another
    host. `asked`: every path, in order.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.login: tuple[str, str] | None = None
        self.challenge = "Bearer"
        self.faults: dict[str, int] = {}
        self.fault_count = -1
        self.cut_short: dict[str, int] = {}
        self.ranges = True
        self.elsewhere = False
        self.token = TOKEN
        self.realm = f"http://127.0.0.1:{port}/token"
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}/{REPOSITORY}"

    def blob(self, data: bytes) -> str:
        self.blobs[digest(data)] = data
        return digest(data)

    def manifest(self, document: Any, media_type: str = OCI_MANIFEST, tag: str = "") -> str:
        data = json.dumps(document).encode()
        for key in filter(None, (digest(data), tag)):
            self.manifests[key] = (media_type, data)
        return digest(data)

    def image(self, layers: list[bytes] | None = None, *, media_type: str = OCI_LAYER, tag: str = "", **config: Any) -> str:
        """Hold a small Python base (or what `config` makes of it) and return its manifest's digest."""
        archives = [layer(GLIBC), layer({**PYTHON, "etc/os-release": b"x" * 3000})] if layers is None else layers
        document = {
            "os": "linux",
            "architecture": "amd64",
            "config": {
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "PYTHON_VERSION=3.12.7"],
                "Entrypoint": ["/bin/base"],
                "Cmd": ["python3"],
                "Labels": {"maintainer": "somebody"},
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(gzip.decompress(each)) for each in archives]},
            "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}],
            **config,
        }
        text = json.dumps(document).encode()
        parts = [{"mediaType": media_type, "digest": self.blob(each), "size": len(each)} for each in archives]
        about = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.blob(text), "size": len(text)}
        return self.manifest({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": about, "layers": parts}, tag=tag)

    def index(self, tag: str = "", **platforms: str) -> str:
        """An index of images by architecture (underscores read as slashes: amd64_v3)."""
        entries = []
        for name, each in platforms.items():
            architecture, _, variant = name.partition("_")
            platform = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
            entries.append({"mediaType": OCI_MANIFEST, "digest": each, "size": 1, "platform": platform})
        return self.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX, tag)

    def answer(self, target: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(target)
        self.asked.append(url.path)
        if url.path == "/token":
            return self._token(parse_qs(url.query), authorization)
        if url.path.startswith("/elsewhere/"):
            # Storage refuses what is signed twice, as S3 does.
            return (400, {}, b"") if authorization else (200, {}, self.blobs[url.path.rpartition("/")[2]])
        wanted = f"Bearer {self.token}" if self.challenge == "Bearer" else _basic(self.login)
        if authorization != wanted:
            return 401, {"WWW-Authenticate": self._challenge()}, _error("authentication required")
        kind, _, key = url.path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        if self.fault_count and f"{kind}/{key}" in self.faults:
            self.fault_count -= 1
            return self.faults[f"{kind}/{key}"], {}, _error("trouble at the mill")
        if kind == "manifests" and key in self.manifests:
            media_type, data = self.manifests[key]
            return 200, {"Content-Type": media_type}, data
        if kind == "blobs" and self.elsewhere:
            return 307, {"Location": f"http://localhost:{self.port}/elsewhere/{key}"}, b""
        if kind == "blobs" and key in self.blobs:
            return 200, {"Content-Type": "application/octet-stream"}, self.blobs[key]
        return 404, {}, _error("no such thing")

    def _challenge(self) -> str:
        if self.challenge == "Basic":
            return 'Basic realm="registry"'
        return f'Bearer realm="{self.realm}",service="tests",scope="repository:{REPOSITORY}:pull"'

    def _token(self, query: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, str], bytes]:
        if query != {"service": ["tests"], "scope": [f"repository:{REPOSITORY}:pull"]}:
            return 400, {}, _error("what for?")
        if self.login and authorization != _basic(self.login):
            return 401, {}, _error("who are you?")
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": self.token}).encode()


def layer(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _basic(login: tuple[str, str] | None) -> str:
    return "Basic " + base64.b64encode(":".join(login or ("", "")).encode()).decode()


def _error(message: str) -> bytes:
    return json.dumps({"errors": [{"code": "SOMETHING", "message": message}]}).encode()


@contextmanager
def serving() -> Iterator[Registry]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, data = registry.answer(self.path, self.headers.get("Authorization", ""))
            first = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if first and registry.ranges and status == 200:
                status, data = 206, data[int(first[1]) :]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            name = self.path.rpartition("/")[2]
            short = registry.cut_short.get(name, 0) > 0
            if short:
                registry.cut_short[name] -= 1
            self.wfile.write(data[: len(data) // 2] if short else data)
            self.close_connection = short

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry = Registry(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
