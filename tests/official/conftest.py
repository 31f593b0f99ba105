"""The official provider as a judge: given a folder that holds it, on a machine that has Terraform."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.infra.rendering import STACKS, Rendered, render
from tests.official.terraform import Terraform
from tests.official.translation import References, Schema


@pytest.fixture(scope="session")
def plugins(request: pytest.FixtureRequest) -> Path:
    """The folder that holds the official provider."""
    given = request.config.getoption("--official-provider")
    if not given:
        pytest.skip("the official provider judges where its folder is given: --official-provider or LOCKSTEP_OFFICIAL_PROVIDER")
    if shutil.which("terraform") is None:
        pytest.fail("--official-provider is given, and the judge needs terraform on the PATH")
    return Path(given).resolve()


@pytest.fixture(scope="session")
def bare(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform with the provider and nothing to make."""
    terraform = Terraform(tmp_path_factory.mktemp("bare"), plugins)
    terraform.init({"terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}}})
    return terraform


@pytest.fixture(scope="session")
def schema(bare: Terraform) -> Schema:
    return Schema(bare.schema(), bare.version())


@pytest.fixture(scope="session")
def referring(schema: Schema) -> dict[str, Rendered]:
    """What the program registers for each environment that ships, with references for computed values."""
    return {stack: render(stack, answers=References(schema)) for stack in STACKS}
