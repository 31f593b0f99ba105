"""Reading from a registry: the pull half of the OCI distribution specification 1.1, every byte held against its digest."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from infra.errors import ConfigError, IntegrityError, PreflightError
from lockstep.images import credentials
from lockstep.images.blobs import CHUNK, digest_of
from lockstep.images.reference import Reference, is_private

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
TIMEOUT = (10, 60)  # seconds to connect, and between two reads
MANIFEST_LIMIT = 4 << 20  # the specification lets a registry refuse larger ones
RESUMPTIONS = 3
_TROUBLE = (429, 500, 502, 503, 504)
_FIELD = re.compile(r'(\w+)="([^"]*)"')


class Repository:
    """One repository of a registry, read with the credentials that this machine has for it."""

    def __init__(self, reference: Reference, who: Callable[[Reference], credentials.Credentials | None] = credentials.find) -> None:
        self._reference = reference
        self._who = who
        self._authorization = ""
        self._session = requests.Session()
        # A registry's hiccup is waited out, then said.
        patience = Retry(total=3, backoff_factor=0.2, status_forcelist=_TROUBLE, allowed_methods=("GET",), raise_on_status=False)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=patience))

    def manifest(self, selector: str) -> bytes:
        """A manifest's exact bytes, by digest or tag.

        Raises:
            ConfigError: there is none.
            IntegrityError: the bytes are not those of the digest.
            PreflightError: the registry can't be asked, or refuses.
        """
        path = f"/manifests/{selector}"
        with self._plainly(path), self._get(path, {"Accept": ", ".join((OCI_MANIFEST, DOCKER_MANIFEST, *INDEXES))}) as answer:
            data: bytes = answer.raw.read(MANIFEST_LIMIT + 1, decode_content=True)
        if len(data) > MANIFEST_LIMIT:
            raise ConfigError("the manifest is larger than any image's", where=f"{self._reference.place} {selector}")
        if selector.startswith("sha256:") and digest_of(data) != selector:
            raise IntegrityError(
                f"the registry answers with a manifest of digest {digest_of(data)}",
                where=f"{self._reference.place} {selector}",
                remedy="The registry, or something on the way to it, is broken: try another.",
            )
        return data

    def blob(self, digest: str) -> Iterator[bytes]:
        """A blob's bytes in pieces, not yet held against the digest. Raises as `manifest`.

        An answer that breaks off is gone on with where it stopped: a layer may be gigabytes.
        """
        path, at, breaks = f"/blobs/{digest}", 0, 0
        with self._plainly(path):
            while True:
                try:
                    with self._get(path, {"Range": f"bytes={at}-"} if at else {}) as answer:
                        known = at if answer.status_code == 200 else 0  # not every registry gives ranges
                        for piece in answer.raw.stream(CHUNK, decode_content=False):
                            fresh = piece[known:]
                            known -= min(known, len(piece))
                            at += len(fresh)
                            yield fresh
                    return
                except HTTPError:
                    breaks += 1
                    if breaks > RESUMPTIONS:
                        raise

    @contextmanager
    def _plainly(self, path: str) -> Iterator[None]:
        """What goes wrong on the way, said for a person."""
        try:
            yield
        except (requests.RequestException, HTTPError) as error:
            raise PreflightError(
                f"the registry does not answer: {error}",
                where=self._reference.url + path,
                remedy="Is this machine online, and the name of the registry right?",
            ) from error

    @contextmanager
    def _get(self, path: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        answer = self._ask(path, headers)
        if answer.status_code == 401:  # at first, and whenever a token has expired
            self._authorization = self._authorize(answer)
            answer = self._ask(path, headers)
        with answer:
            self._check(answer, path)
            yield answer

    def _ask(self, path: str, headers: Mapping[str, str]) -> requests.Response:
        given = {"Accept-Encoding": "identity", **headers}  # digests are of the bytes as they are
        return self._session.get(self._reference.url + path, headers=given, auth=self._sign, stream=True, timeout=TIMEOUT)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Requests leaves the header out when it is redirected to another host, where registries keep blobs."""
        if self._authorization:
            request.headers["Authorization"] = self._authorization
        return request

    def _check(self, answer: requests.Response, path: str) -> None:
        if answer.status_code in (200, 206):
            return
        where = f"{self._reference.place} {path.lstrip('/')}"
        said = _said(answer)
        if answer.status_code == 404:
            raise ConfigError(f"the registry does not have it{said}", where=where, remedy="Check the repository's name and the digest.")
        if answer.status_code in (401, 403):
            raise PreflightError(
                f"the registry refuses ({answer.status_code}){said}",
                where=where,
                remedy=f"Run `docker login {self._reference.registry}`; for ECR, set AWS credentials that may read the repository.",
            )
        raise PreflightError(f"the registry fails ({answer.status_code}){said}", where=where, remedy="Try again later, or use another.")

    def _authorize(self, refused: requests.Response) -> str:
        """The Authorization header that a 401 asks for: basic, or a bearer token from the realm that it names."""
        refused.close()
        challenge = refused.headers.get("WWW-Authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        known = self._who(self._reference)
        if scheme.lower() == "basic" and known:
            return "Basic " + base64.b64encode(":".join(known).encode()).decode()
        fields = dict(_FIELD.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in fields:
            return ""
        if known and not is_private(fields["realm"]):
            raise PreflightError(
                "the registry wants the credentials sent unencrypted", where=f"{self._reference.registry}, {fields['realm']}"
            )
        parameters = {key: fields[key] for key in ("service",) if key in fields}
        parameters["scope"] = fields.get("scope") or f"repository:{self._reference.repository}:pull"
        if known and known[0] == "<token>":
            form = {**parameters, "grant_type": "refresh_token", "client_id": "lockstep", "refresh_token": known[1]}
            answer = self._session.post(fields["realm"], data=form, timeout=TIMEOUT)
        else:
            # Without an `auth`, requests would look for credentials in ~/.netrc.
            answer = self._session.get(fields["realm"], params=parameters, auth=known or _nobody, timeout=TIMEOUT)
        with answer:
            token = _token(answer)
            if token is None:
                raise PreflightError(
                    f"the registry gives no token ({answer.status_code}){_said(answer)}",
                    where=f"{self._reference.place}, {fields['realm']}",
                    remedy=f"Run `docker login {self._reference.registry}`.",
                )
        return f"Bearer {token}"


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _token(answer: requests.Response) -> str | None:
    if answer.status_code != 200:
        return None
    try:
        document: Any = answer.json()
    except ValueError:
        return None
    found = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    return str(found) if found else None


def _said(answer: requests.Response) -> str:
    """The registry's own words, if it has any."""
    try:
        first = answer.json()["errors"][0]
        return f": {first.get('message') or first['code']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
