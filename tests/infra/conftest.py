from __future__ import annotations

from pathlib import Path

import pytest

from infra.config import Stack, load_all
from infra.site import Site
from tests.infra.rendering import PROJECT, STACKS, Rendered, copy_of_project, render


@pytest.fixture(scope="session")
def rendered() -> dict[str, Rendered]:
    """What the program registers for each environment that ships."""
    return {stack: render(stack) for stack in STACKS}


@pytest.fixture(scope="session")
def stacks() -> dict[str, Stack]:
    return load_all(PROJECT / "stacks")


@pytest.fixture(scope="session")
def sites(stacks: dict[str, Stack]) -> dict[str, Site]:
    return {name: Site.of(stack, stacks) for name, stack in stacks.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of stack files and definitions, to be made wrong."""
    return copy_of_project(tmp_path)
