"""What all tests share: a clean environment, and the options for what is not on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException
from hypothesis import HealthCheck, settings

_OFFICIAL_PROVIDER = "LOCKSTEP_OFFICIAL_PROVIDER"

# What the shell says must not reach a test: neither another cloud, nor another person's credentials, nor a Pulumi backend. Where the
# official provider lies, this file asks again in each worker.
for _name in [name for name in os.environ if name.startswith(("AWS_", "LOCKSTEP_", "PULUMI_")) and name != _OFFICIAL_PROVIDER]:
    del os.environ[_name]
os.environ |= {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "NO_COLOR": "1",
}

# How long an example takes says how busy the machine is, not whether the code is right. In CI the examples are the same every time.
settings.register_profile(
    "lockstep", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI")), print_blob=True
)
settings.load_profile("lockstep")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-localstack", action="store_true", help="run the tests marked localstack, against LocalStack in Docker")
    parser.addoption(
        "--official-provider",
        metavar="FOLDER",
        default=os.environ.get(_OFFICIAL_PROVIDER, ""),
        help="a Terraform plugin folder that holds hashicorp/aws, for tests/official; default: LOCKSTEP_OFFICIAL_PROVIDER",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # The longest first, so that no worker is left alone with them at the end.
    items.sort(key=lambda item: "tests/e2e/" not in item.nodeid and "test_crashes" not in item.nodeid)
    marked = [item for item in items if item.get_closest_marker("localstack")]
    reason = _no_localstack(config) if marked else ""
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def _no_localstack(config: pytest.Config) -> str:
    """Why there can be no LocalStack here, or ""."""
    if not config.getoption("--run-localstack"):
        return "runs against LocalStack: give --run-localstack, where Docker is"
    try:
        client = docker.from_env()
        try:
            client.ping()
        finally:
            client.close()
    except DockerException as error:
        return f"LocalStack needs Docker, which does not answer: {error}"
    return ""


@pytest.fixture(autouse=True)
def _same_environment_after() -> Iterator[None]:
    """A test that changes the environment by other means than monkeypatch does not change it for the next."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        if name not in ("PYTEST_CURRENT_TEST",):
            del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if name != "PYTEST_CURRENT_TEST"})
