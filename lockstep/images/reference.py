"""Names of images in any registry, as Docker reads them: `python@sha256:...` is docker.io/library/python."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from infra.errors import UsageError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HUB = "docker.io"
_HUB_API = "registry-1.docker.io"
_REFERENCE = re.compile(
    r"(?:(?P<registry>localhost(?::\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+)/)?"
    r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]+))?"
)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d+){3})(?::\d+)?")


@dataclass(frozen=True)
class Reference:
    """An image in a registry. `digest` wins over `tag`, as in Docker."""

    registry: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take a name apart. Raises UsageError if it is none."""
        match = _REFERENCE.fullmatch(text)
        digest = (match["digest"] or "") if match else ""
        if match is None or (digest and not DIGEST.fullmatch(digest)):
            raise UsageError(f"{text!r} does not name an image", where="base", remedy="Write REGISTRY/REPOSITORY@sha256:<64 hex digits>.")
        registry, repository = match["registry"] or HUB, match["repository"]
        if registry == HUB and "/" not in repository:
            repository = f"library/{repository}"
        return cls(registry, repository, match["tag"] or "", digest)

    def at(self, digest: str) -> Reference:
        """The image of that digest in the same repository."""
        return replace(self, tag="", digest=digest)

    @property
    def place(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def selector(self) -> str:
        """What the manifest is asked for by."""
        return self.digest or self.tag or "latest"

    @property
    def url(self) -> str:
        """The repository in the registry's API. Plain HTTP to this machine alone, the rule of Docker's daemon."""
        host = _HUB_API if self.registry == HUB else self.registry
        return f"{'http' if _is_loopback(host) else 'https'}://{host}/v2/{self.repository}"

    def __str__(self) -> str:
        return f"{self.place}@{self.digest}" if self.digest else f"{self.place}:{self.tag or 'latest'}"


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.netloc))


def _is_loopback(host: str) -> bool:
    return bool(_LOOPBACK.fullmatch(host))
