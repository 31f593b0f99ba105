"""A cloud with a serving image, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.cloud.server import running
from tests.cloud.endpoints.images import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An account that can serve, at 120 times the speed of time."""
    with running(tmp_path_factory.mktemp("cloud"), speed=120) as cloud:
        yield Site(cloud)
