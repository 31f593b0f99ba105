"""A base that no image of ours could run on is refused before anything is pushed."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from infra.errors import ConfigError
from lockstep.images import base, inspection
from lockstep.images.blobs import Blobs
from lockstep.images.image import build
from lockstep.images.push import push
from tests.images.registry import GLIBC, PYTHON, Registry, layer


class Empty:
    """An ECR repository without layers, which nothing may be sent to."""

    def batch_check_layer_availability(self, **_: Any) -> dict[str, Any]:
        return {"layers": []}


def resolve(registry: Registry, blobs: Blobs, layers: list[bytes], python: str = "3.12", path: str = "/usr/local/bin:/bin") -> base.Base:
    digest = registry.image(layers, config={"Env": [f"PATH={path}"]}, history=[])
    return base.resolve(f"{registry.name}@{digest}", python=python, blobs=blobs)


def test_python_may_come_in_any_layer_and_stand_behind_a_link(registry: Registry, blobs: Blobs) -> None:
    inspection.check(resolve(registry, blobs, [layer(GLIBC), layer(PYTHON)]))
    linked = {"./usr/bin/python": b"", "./usr/bin/python3.12": b""}
    inspection.check(resolve(registry, blobs, [layer(GLIBC), layer(linked)], path="/bin"))


@pytest.mark.parametrize(
    ("files", "python", "message"),
    [
        ({"lib/ld-musl-x86_64.so.1": b"", **PYTHON}, "3.12", "no glibc"),
        (GLIBC, "3.12", "no program 'python' in its PATH"),
        ({**GLIBC, "opt/python": b""}, "3.12", "no program 'python' in its PATH"),
        ({**GLIBC, **PYTHON}, "3.13", "no program 'python3.13' in its PATH"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_sent(
    registry: Registry, blobs: Blobs, files: dict[str, bytes], python: str, message: str
) -> None:
    found = resolve(registry, blobs, [layer(files)], python)
    image = build([], base=found, environment={}, working_folder="/", command=[], labels={})
    with pytest.raises(ConfigError, match=message):
        push(Empty(), "repository", image)


def test_a_layer_that_is_no_archive_is_named(registry: Registry, blobs: Blobs) -> None:
    noise = resolve(registry, blobs, [gzip.compress(b"noise" * 300)])
    with pytest.raises(ConfigError, match="a layer of the base is no archive"):
        inspection.check(noise)
