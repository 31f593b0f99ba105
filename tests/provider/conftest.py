"""A cloud, an account in it, and a provider's door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.cloud.context import Cloud
from local.cloud.server import running
from local.provider.api import Clients
from local.provider.host import serve
from tests.provider.door import Door

ACCOUNT = "111111111111"
REGION = "us-east-1"
DEFAULT_TAGS = {"environment": "dev", "owner": "team"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("cloud"), speed=100) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def session(cloud: Cloud) -> Any:
    return cloud.session(ACCOUNT, REGION)


@pytest.fixture(scope="module")
def environment(cloud: Cloud, session: Any) -> dict[str, str]:
    """The standard AWS variables that a plugin's process would have."""
    keys = session.get_credentials().get_frozen_credentials()
    return {
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token or "",
        "AWS_REGION": REGION,
    }


@pytest.fixture(scope="module")
def fresh_door(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`fresh_door(**variables)`: a provider that is not configured yet."""
    servers = []
    clients = Clients()
    folder = tmp_path_factory.mktemp("program")

    def make(**variables: str) -> Door:
        server, port = serve({**environment, **variables}, folder, clients)
        door = Door(port)
        servers.append((server, door))
        return door

    make.folder = folder  # type: ignore[attr-defined]
    yield make
    for server, door in servers:
        door.channel.close()
        server.stop(grace=0).wait()


@pytest.fixture(scope="module")
def door(fresh_door: Any) -> Door:
    """A provider that is configured as an environment's is."""
    made: Door = fresh_door()
    tags = '{"tags": {"environment": "dev", "owner": "team"}}'
    made.configure(region=REGION, allowedAccountIds=f'["{ACCOUNT}"]', defaultTags=tags)
    return made
