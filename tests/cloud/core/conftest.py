"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud.context import Cloud
from local.cloud.server import running
from tests.cloud.aws import aws

__all__ = ["aws", "cloud"]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An empty cloud on a clock of a hundred cloud seconds a second."""
    with running(tmp_path / "cloud", speed=100.0) as running_cloud:
        yield running_cloud
