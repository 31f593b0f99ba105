"""The running cloud, as its services see it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader

from local.cloud.accounts import Accounts, Caller, Credentials, existing_role, role_session, root_of
from local.cloud.clock import Clock
from local.cloud.http import HttpRequest, HttpResponse
from local.cloud.iam.usage import Rights
from local.cloud.processes import Processes
from local.errors import CloudNotRunning, RoleNotAssumable

if TYPE_CHECKING:
    from local.cloud.dispatch.call import Call

FastHandler = Callable[[HttpRequest, "re.Match[str]"], HttpResponse]


# Reading the description of a service costs more than most calls to it; sessions share what was read.
_LOADER = create_loader()


class Events(Protocol):
    """EventBridge, for services that report what happened."""

    def put(
        self, account: str, region: str, source: str, detail_type: str, detail: dict[str, Any], resources: list[str] | None = None
    ) -> None:
        """Put one event of a service on the account's default bus; rules see it soon, on another thread."""


class Metrics(Protocol):
    """CloudWatch, for services that publish metrics."""

    def put(
        self,
        account: str,
        region: str,
        namespace: str,
        name: str,
        dimensions: dict[str, str],
        value: float,
        unit: str,
        timestamp: float | None = None,
    ) -> None:
        """Record one value at `timestamp` (cloud time, seconds since the epoch; now when None)."""


class CloudSession(boto3.Session):
    """A boto3 session whose clients talk to this cloud."""

    def __init__(self, url: str, **kwargs: Any) -> None:
        core = botocore.session.Session()
        core.register_component("data_loader", _LOADER)
        super().__init__(botocore_session=core, **kwargs)
        self._url = url

    def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self._url)
        kwargs.setdefault("config", Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}))
        return super().client(service_name, *args, **kwargs)  # type: ignore[call-overload]


class Cloud:
    """Everything that the services of one running cloud share.

    `home` is the folder for state and logs, `url` the one endpoint of all services. Rooms put themselves in place by `local.cloud.server`
    before the first request is answered: `events`, `metrics`, routes that skip the dispatcher (`fast_routes`), and guards, which look at a
    call before its handler does and may refuse it or move it into another account.
    """

    events: Events
    metrics: Metrics

    def __init__(self, home: Path, clock: Clock, enforce_iam: bool = False) -> None:
        self.home = home
        self.clock = clock
        self.enforce_iam = enforce_iam
        self.url = ""
        self.accounts = Accounts(clock)
        self.rights = Rights()
        self.processes = Processes()
        self.fast_routes: list[tuple[re.Pattern[str], FastHandler]] = []
        self.guards: list[Callable[[Call], None]] = []
        self.shutdown_hooks: list[Callable[[], object]] = []
        self.closing = threading.Event()

    def credentials(
        self, account_id: str, role_arn: str | None = None, service: str = "sagemaker.amazonaws.com", session_name: str = "SageMaker"
    ) -> Credentials:
        """Credentials that a service acts with: those of `role_arn` if it trusts `service`, else the account's own. They do not expire."""
        if role_arn is None:
            return self.accounts.mint(root_of(account_id), None)
        self.check_assumable(role_arn, service)
        return self.accounts.mint(role_session(role_arn, session_name), None)

    def check_assumable(self, role_arn: str, service: str = "sagemaker.amazonaws.com") -> None:
        """RoleNotAssumable unless the role exists and its trust policy names the service."""
        from local.cloud.sts.trust import trusts_service

        if existing_role(role_arn) is None or not trusts_service(role_arn, service):
            raise RoleNotAssumable(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal '{service}' "
                "to assume the role.",
                where=role_arn,
                remedy=f"create the role with a trust policy that lets {service} call sts:AssumeRole",
            )

    def credentials_for(self, role_arn: str, session_name: str = "SageMaker") -> dict[str, str]:
        """Environment variables with a role's credentials, for the process of a job."""
        return self.credentials(role_arn.split(":")[4], role_arn, session_name=session_name).environment()

    def session(self, account_id: str, region: str, role_arn: str | None = None) -> CloudSession:
        """A boto3 session in an account, as the role, or as the account itself."""
        return self.session_of(self.credentials(account_id, role_arn), region)

    def session_of(self, credentials: Credentials, region: str) -> CloudSession:
        return CloudSession(
            self.url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            region_name=region,
        )

    def close(self) -> None:
        """Run the shutdown hooks, last registered first, end all children, stop the clock."""
        self.closing.set()
        self.clock.close()
        for hook in reversed(self.shutdown_hooks):
            hook()
        self.processes.close()


_running: Cloud | None = None


def current() -> Cloud:
    """The cloud of this process. moto keeps state per process, so there is one at a time."""
    if _running is None:
        raise CloudNotRunning("no embedded cloud runs in this process", where="local.cloud", remedy="use local.cloud.server.running()")
    return _running


def set_current(cloud: Cloud | None) -> None:
    global _running
    _running = cloud


def caller() -> Caller:
    """Who makes the call that this thread is answering; the account itself outside of one."""
    from local.cloud.dispatch.call import current as current_call

    call = current_call()
    return call.caller if call is not None else root_of("000000000000")
