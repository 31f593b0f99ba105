"""`aws`: clients of an account on the embedded cloud; with --run-localstack the contract tests that use it run against LocalStack too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.cloud.server import running

ACCOUNT = "111111111111"
OTHER = "222222222222"
REGION = "us-east-1"

Clients = Callable[[str], Any]


@pytest.fixture(params=["embedded", pytest.param("localstack", marks=pytest.mark.localstack)])
def aws(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Clients]:
    """`aws("s3")` is a boto3 client."""
    if request.param == "localstack":
        import pytest_localstack

        with pytest_localstack._make_session(docker_client=None, region_name=REGION) as session:
            yield session.boto3.client
        return
    with running(tmp_path / "cloud", speed=100.0) as cloud:
        yield cloud.session(ACCOUNT, REGION).client
