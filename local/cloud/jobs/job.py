"""A job: what was asked for, where it stands, how it ended. What training and processing differ in is in their own modules."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from local.cloud.containers.process import ContainerProcess
from local.cloud.context import Cloud

FINAL = frozenset({"Completed", "Failed", "Stopped"})
CONTAINER_HOST = "algo-1"


class Job(abc.ABC):
    """One job of one account. Its lock guards status and process; what observes it is called without the lock."""

    kind: ClassVar[str]  # Training or Processing, as in the names of the API's fields
    resource: ClassVar[str]  # as in ARNs
    log_group: ClassVar[str]
    stop_grace: ClassVar[float]  # real seconds from SIGTERM to SIGKILL
    default_max_runtime: ClassVar[int] = 86400

    def __init__(self, cloud: Cloud, account: str, region: str, request: dict[str, Any]) -> None:
        self.cloud = cloud
        self.account = account
        self.region = region
        self.request = request
        self.name: str = request[f"{self.kind}JobName"]
        self.arn = f"arn:aws:sagemaker:{region}:{account}:{self.resource}/{self.name}"
        self.tags: list[dict[str, str]] = list(request.get("Tags") or [])
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.created = self.modified = cloud.clock.now()
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.process: ContainerProcess | None = None
        self.stop_requested = threading.Event()
        self.timed_out = False
        self.done = threading.Event()
        self.lock = threading.RLock()
        self._observers: list[Callable[[Job], None]] = []

    # What a kind of job defines.

    @property
    @abc.abstractmethod
    def image_uri(self) -> str: ...

    @property
    @abc.abstractmethod
    def entrypoint(self) -> list[str] | None: ...

    @property
    @abc.abstractmethod
    def command(self) -> list[str]: ...

    @property
    @abc.abstractmethod
    def environment(self) -> dict[str, str]: ...

    @property
    @abc.abstractmethod
    def is_isolated(self) -> bool: ...

    @property
    @abc.abstractmethod
    def vpc(self) -> dict[str, Any] | None:
        """The VpcConfig."""

    @property
    @abc.abstractmethod
    def volume_key(self) -> str | None: ...

    @abc.abstractmethod
    def write_config(self, base: Path, translate: Callable[[Any], Any]) -> None:
        """Write the files of input/config or config below `base`, and make the folders that the container finds."""

    @abc.abstractmethod
    def download(self, s3: Any, base: Path) -> None:
        """Bring the inputs in."""

    @abc.abstractmethod
    def upload(self, s3: Any, base: Path, succeeded: bool) -> None:
        """Take the outputs out."""

    @abc.abstractmethod
    def read_message(self, base: Path) -> None:
        """Keep what the container left as its last words."""

    @abc.abstractmethod
    def algorithm_error(self, exit_code: int) -> str:
        """The failure reason for a container that ended with an exit code other than 0."""

    @abc.abstractmethod
    def details(self) -> dict[str, Any]:
        """What Describe says beyond the request, the status and the times."""

    @abc.abstractmethod
    def saw_line(self, line: str) -> None:
        """Called with each line of output."""

    @abc.abstractmethod
    def entered(self, phase: str) -> None:
        """Called at each phase: Starting, Downloading, Running, Uploading, Stopping and the final statuses."""

    # What all share.

    @property
    def role_arn(self) -> str:
        return str(self.request["RoleArn"])

    @property
    def max_runtime(self) -> float:
        """Real seconds: a job's work is physical, whatever the speed of the cloud's clock."""
        return float((self.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds") or self.default_max_runtime)

    @property
    def is_over(self) -> bool:
        return self.status in FINAL

    def describe(self) -> dict[str, Any]:
        """The answer of Describe: the request as it came, and what became of it."""
        with self.lock:
            answer = {name: value for name, value in self.request.items() if name != "Tags"}
            answer |= {
                f"{self.kind}JobArn": self.arn,
                f"{self.kind}JobStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                f"{self.kind}StartTime": self.started,
                f"{self.kind}EndTime": self.ended,
                "FailureReason": self.failure_reason,
                **self.details(),
            }
        return {name: value for name, value in answer.items() if value is not None}

    def enter(self, phase: str) -> None:
        """Move on to a phase, and say so to EventBridge. Nothing follows the end: a stop that comes too late changes nothing."""
        with self.lock:
            if self.is_over:
                return
            self.modified = self.cloud.clock.now()
            if phase == "Running":
                self.started = self.modified
            if phase in FINAL or phase == "Stopping":
                self.status = phase
            if phase in FINAL:
                self.ended = self.modified
                self.started = self.started or self.modified
            self.entered(phase)
        self.publish()
        if phase in FINAL:
            self.abandon()

    def abandon(self) -> None:
        """Let go of whoever waits for the end."""
        self.done.set()
        with self.lock:
            observers, self._observers = self._observers, []
        for observer in observers:
            observer(self)

    def when_done(self, observer: Callable[[Job], None]) -> None:
        """Call `observer` once when the job has ended, at once where it has."""
        with self.lock:
            if not self.done.is_set():
                self._observers.append(observer)
                return
        observer(self)

    def publish(self) -> None:
        detail = {name: _plain(value) for name, value in self.describe().items()}
        detail["Tags"] = {tag["Key"]: tag.get("Value", "") for tag in self.tags}
        self.cloud.events.put(self.account, self.region, "aws.sagemaker", f"SageMaker {self.kind} Job State Change", detail, [self.arn])


def _plain(value: Any) -> Any:
    """A value as events carry it: times are milliseconds since the epoch."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def resource_config(job_request: dict[str, Any]) -> dict[str, Any]:
    """resourceconfig.json, of a fleet of one."""
    instance = job_request.get("InstanceType", "ml.m5.large")
    return {
        "current_host": CONTAINER_HOST,
        "current_instance_type": instance,
        "current_group_name": "homogeneousCluster",
        "hosts": [CONTAINER_HOST],
        "instance_groups": [{"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": [CONTAINER_HOST]}],
        "network_interface_name": "eth0",
    }
