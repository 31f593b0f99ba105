"""AWS as the plugin sees it: one set of credentials, one region, clients that are made once and shared."""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel, ServiceModel

from local.provider.errors import AwsError, ProviderError
from local.provider.resource import Properties

_LOADER_LOCK = threading.RLock()

# A role or policy that was made a moment ago is not yet known everywhere in AWS: (code, part of the message).
_NOT_YET = (
    ("ValidationException", "Could not assume role"),
    ("InvalidParameterValue", "Unable to assume role"),
    ("MalformedPolicyDocument", "Invalid principal in policy"),
    ("MalformedPolicyDocumentException", "invalid principals"),
    ("OperationAborted", "conflicting conditional operation"),
)
_PATIENCE_SECONDS = 15.0


@functools.cache
def _core() -> botocore.session.Session:
    """One botocore session for all: its loader keeps the service models in memory."""
    return botocore.session.Session()


@functools.cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service."""
    with _LOADER_LOCK:
        return _core().get_service_model(service)


@functools.cache
def operation_model(service: str, operation: str) -> OperationModel:
    """botocore's model of an operation. Raises at once if there is none of that name."""
    return service_model(service).operation_model(operation)


@functools.cache
def partition_of(region: str) -> tuple[str, str]:
    """(partition, DNS suffix) of a region."""
    found = _core().get_component("data_loader").load_data("partitions")["partitions"]
    partition = next((p for p in found if re.match(p["regionRegex"], region)), found[0])
    return str(partition["id"]), str(partition["outputs"]["dnsSuffix"])


@dataclass(frozen=True)
class Settings:
    """The provider's configuration, resolved (see `config.resolve`)."""

    region: str
    access_key: str | None = None
    secret_key: str | None = None
    token: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    default_tags: Mapping[str, str] = field(default_factory=dict)
    ignore_tag_keys: tuple[str, ...] = ()
    ignore_tag_prefixes: tuple[str, ...] = ()
    max_retries: int = 3
    path_style: bool = False


class Clients:
    """Makes clients, each once. Safe to use from many threads."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}

    def get(self, settings: Settings, service: str, region: str) -> Any:
        """The client of a service in a region."""
        endpoint = settings.endpoints.get(service) or settings.endpoint
        key = (service, region, endpoint, settings.access_key, settings.secret_key, settings.token, settings.profile, settings.max_retries)
        found = self._made.get(key)
        if found is not None:
            return found
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._made:
                self._made[key] = self._make(settings, service, region, endpoint)
            return self._made[key]

    @staticmethod
    def _make(settings: Settings, service: str, region: str, endpoint: str | None) -> Any:
        session = botocore.session.Session(profile=settings.profile) if settings.profile else _core()
        config = Config(
            max_pool_connections=32,
            retries={"max_attempts": settings.max_retries, "mode": "standard"},
            s3={"addressing_style": "path" if settings.path_style or _is_loopback(endpoint) else "auto"},
            parameter_validation=False,
        )
        with _LOADER_LOCK:
            return session.create_client(
                service,
                region_name=region,
                endpoint_url=endpoint,
                aws_access_key_id=settings.access_key,
                aws_secret_access_key=settings.secret_key,
                aws_session_token=settings.token,
                config=config,
            )


def _is_loopback(endpoint: str | None) -> bool:
    """A bucket's own host name cannot be resolved under an address or `localhost`, so its name goes into the path."""
    return endpoint is not None and any(host in endpoint for host in ("127.0.0.1", "localhost", "[::1]"))


class Api:
    """What the operations of a resource may use, in one region."""

    def __init__(self, settings: Settings, clients: Clients, account: str, region: str | None = None) -> None:
        self.settings = settings
        self.clients = clients
        self.account = account
        self.region = region or settings.region
        self.partition, self.dns_suffix = partition_of(self.region)

    def in_region(self, region: str | None) -> Api:
        """The same account in another region."""
        return self if not region or region == self.region else Api(self.settings, self.clients, self.account, region)

    def call(self, service: str, operation: str, /, **params: Any) -> Properties:
        """Calls an operation by its name in the model. Raises AwsError with AWS's code."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        pause = 0.5
        while True:
            try:
                return self._call(service, operation, params)
            except AwsError as error:
                waits = any(error.code == code and text.lower() in error.message.lower() for code, text in _NOT_YET)
                if not waits or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 4.0)

    def _call(self, service: str, operation: str, params: Mapping[str, Any]) -> Properties:
        client = self.clients.get(self.settings, service, self.region)
        try:
            answer: Properties = client._make_api_call(operation, dict(params))
        except ClientError as error:
            detail = error.response.get("Error", {})
            code = str(detail.get("Code", "Unknown"))
            raise AwsError(service, operation, code, str(detail.get("Message", error))) from error
        except BotoCoreError as error:
            raise ProviderError(f"operation error {service}: {operation}: {error}") from error
        answer.pop("ResponseMetadata", None)
        return answer

    def try_call(self, service: str, operation: str, absent: tuple[str, ...], /, **params: Any) -> Properties | None:
        """As `call`; None where AWS answers with one of the codes `absent`."""
        try:
            return self.call(service, operation, **params)
        except AwsError as error:
            if error.code in absent:
                return None
            raise

    def pages(self, service: str, operation: str, key: str, /, **params: Any) -> list[Any]:
        """All items under `key` of a paged operation, whatever its token is called."""
        from botocore import xform_name

        client = self.clients.get(self.settings, service, self.region)
        name = xform_name(operation)
        if not client.can_paginate(name):
            return list(self.call(service, operation, **params).get(key, []))
        try:
            return [item for page in client.get_paginator(name).paginate(**params) for item in page.get(key) or []]
        except ClientError as error:
            detail = error.response.get("Error", {})
            raise AwsError(service, operation, str(detail.get("Code", "Unknown")), str(detail.get("Message", error))) from error

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Asks until `done` says so. Raises ProviderError after `seconds`."""
        deadline = time.monotonic() + seconds
        pause = 0.1
        while not done():
            if time.monotonic() > deadline:
                raise ProviderError(f"gave up waiting for {what} after {seconds:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.6, 3.0)
