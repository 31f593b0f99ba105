"""Names of images, as Docker reads them."""

from __future__ import annotations

import pytest

from infra.errors import UsageError
from lockstep.images.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "whole", "url"),
    [
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}", "https://registry-1.docker.io/v2/library/python"),
        (f"me/it:1@{DIGEST}", f"docker.io/me/it@{DIGEST}", "https://registry-1.docker.io/v2/me/it"),
        ("python", "docker.io/library/python:latest", "https://registry-1.docker.io/v2/library/python"),
        (
            f"public.ecr.aws/docker/library/python@{DIGEST}",
            f"public.ecr.aws/docker/library/python@{DIGEST}",
            "https://public.ecr.aws/v2/docker/library/python",
        ),
        ("localhost:5000/x:3.12", "localhost:5000/x:3.12", "http://localhost:5000/v2/x"),
        ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1", "http://127.0.0.1:5000/v2/x"),
        ("127.example.com/x:1", "127.example.com/x:1", "https://127.example.com/v2/x"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(text: str, whole: str, url: str) -> None:
    found = Reference.parse(text)
    assert (str(found), found.url) == (whole, url)


@pytest.mark.parametrize("text", ["", "Python", "x@sha256:abc", "x@md5:" + "a" * 32, "https://example.com/x", "x y", f"x@{DIGEST}0"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not name an image"):
        Reference.parse(text)
