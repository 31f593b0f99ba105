"""`aws`: an empty account, on the embedded cloud and on LocalStack; contract tests use it and so hold on both.

LocalStack comes by pytest-localstack: `localstack` is a fixture of its making, one container for all tests of a process. Its session hands
out clients of one account, and of the services that the plugin knows, and KMS is not among them. So `aws` asks it for the address alone,
and LocalStack reads the account off the access key, as it does for keys of twelve digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import pytest_localstack

from local.cloud.context import Cloud
from local.cloud.server import running

ACCOUNT = "111111111111"
OTHER = "222222222222"
REGION = "us-east-1"

# What LocalStack's free edition has and the contracts are about. SageMaker and ECR are not in it.
SERVICES = ("cloudwatch", "dynamodb", "events", "iam", "logs", "s3", "sns", "sqs", "sts")

_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """A name that no other test of this process has, for what all accounts of a cloud share or a module's tests would."""
    return f"{prefix}-{next(_numbers)}"


def fresh_account() -> str:
    """The id of an account that no other test of this process uses."""
    return f"9{next(_numbers):011d}"


@dataclass(frozen=True)
class Aws:
    """An empty account: `aws("s3")` is a boto3 client."""

    account: str
    make: Callable[[str], Any]

    def __call__(self, service: str) -> Any:
        return self.make(service)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{self.account}:{resource}"

    def session_of(self, credentials: dict[str, Any]) -> Aws:
        """The same cloud, called with credentials that STS gave out."""
        keys = {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }
        url = self.make("sts").meta.endpoint_url
        return Aws(self.account, lambda service: boto3.client(service, endpoint_url=url, region_name=REGION, **keys))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud for a module's tests, on a clock of a hundred cloud seconds a second. Each test takes names or an account of its own."""
    with running(tmp_path_factory.mktemp("cloud"), speed=100.0) as running_cloud:
        yield running_cloud


@pytest.fixture
def account() -> str:
    """The id of an empty account."""
    return fresh_account()


# SERVICES without ports and with KMS: what the plugin would pass to the container leaves out what the plugin cannot check.
localstack = pytest_localstack.session_fixture(
    scope="session", services=SERVICES, region_name=REGION, container_env={"SERVICES": ",".join((*SERVICES, "kms"))}
)


def on_localstack(url: str, account: str) -> Aws:
    """An account of the LocalStack at `url`."""
    keys = {"aws_access_key_id": account, "aws_secret_access_key": "none"}
    return Aws(account, lambda service: boto3.client(service, endpoint_url=url, region_name=REGION, **keys))


@pytest.fixture(params=["embedded", pytest.param("localstack", marks=pytest.mark.localstack)])
def aws(request: pytest.FixtureRequest, account: str) -> Aws:
    """An empty account on each implementation of the APIs."""
    if request.param == "localstack":
        return on_localstack(request.getfixturevalue("localstack").endpoint_url("sts"), account)
    return Aws(account, request.getfixturevalue("cloud").session(account, REGION).client)
