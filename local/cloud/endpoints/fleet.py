"""The instances of one endpoint config: launched, replaced when they crash, drained."""

from __future__ import annotations

import itertools
import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from local.cloud.containers.images import ImageError
from local.cloud.containers.process import ContainerProcess
from local.cloud.containers.runtime import runtime_of
from local.errors import LocalError

from .artefact import Artefact, LaunchError
from .instance import Instance, free_port
from .plan import Counts
from .records import ConfigRecord, ModelRecord

if TYPE_CHECKING:
    from local.cloud.context import Cloud

log = logging.getLogger(__name__)

STARTUP_SECONDS = 480.0
"""Real seconds that a container has to pass /ping, unless the variant says otherwise [developer guide: 8 minutes]."""

PARALLEL_STARTS = 4
RESTART_PAUSE = 1.0


class Fleet:
    """All instances of an endpoint under one config. `on_change` is called when the set of healthy instances changed by itself."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        cloud: Cloud,
        account: str,
        region: str,
        endpoint: str,
        config: ConfigRecord,
        models: dict[str, ModelRecord],
        on_change: Callable[[], None],
    ) -> None:
        self.config = config
        self._cloud, self._account, self._region, self._endpoint = cloud, account, region, endpoint
        self._runtime = runtime_of(cloud)
        self._on_change = on_change
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._instances: dict[str, list[Instance]] = {v: [] for v in config.variants}
        self._expected_ends: set[str] = set()
        self._folder = cloud.home / "endpoints" / f"{endpoint}-{next(self._numbers)}-{secrets.token_hex(3)}"
        self._artefacts = {
            name: Artefact(cloud, account, region, models[name], self._folder / "artefacts" / name) for name in config.variants
        }
        self.active: Counts | None = None
        self.desired: Counts = {}
        self.resolved_at = config.created

    @property
    def resolved_images(self) -> dict[str, tuple[str, str]]:
        """Specified and resolved (by digest) image of each variant."""
        found = {}
        for name, artefact in self._artefacts.items():
            image = str(artefact.container.get("Image", ""))
            digest = artefact.image.digest if artefact.image else ""
            plain = image.partition("@")[0]
            head, _, tail = plain.rpartition("/")
            found[name] = (image, f"{head}/{tail.partition(':')[0]}@{digest}" if digest else image)
        return found

    def count(self, variant: str) -> int:
        """Healthy instances of a variant."""
        with self._lock:
            return len(self._instances[variant])

    def targets(self, variant: str) -> tuple[Instance, ...]:
        """The instances of a variant that take traffic: all, or as many as `active` allows."""
        with self._lock:
            instances = self._instances.get(variant, [])
            return tuple(instances if self.active is None else instances[: self.active.get(variant, 0)])

    def everyone(self) -> list[tuple[str, Instance]]:
        """All healthy instances with their variants."""
        with self._lock:
            return [(v, i) for v, instances in self._instances.items() for i in instances]

    def launch(self, counts: Counts) -> None:
        """Starts instances until each variant has its count, and waits until all are healthy. Raises LaunchError; what was started
        stays."""
        for artefact in self._artefacts.values():
            if artefact.image is None:
                artefact.fetch()
                self.resolved_at = self._cloud.clock.now()
        self.desired = {**self.desired, **counts}
        with self._lock:
            wanted = [v for v, n in counts.items() for _ in range(n - len(self._instances[v]))]
        if not wanted:
            return
        with ThreadPoolExecutor(min(PARALLEL_STARTS, len(wanted)), thread_name_prefix=f"launch-{self._endpoint}") as pool:
            futures = [pool.submit(self._start, variant) for variant in wanted]
            problems = [e for f in futures if (e := f.exception()) is not None]
        if problems:
            raise problems[0] if isinstance(problems[0], LaunchError) else LaunchError(str(problems[0]))

    def shrink(self, counts: Counts) -> list[Instance]:
        """Takes instances out of the fleet, the newest first, until each variant has its count; they still run, for `drain`."""
        self.desired = {**self.desired, **counts}
        removed = []
        with self._lock:
            for variant, count in counts.items():
                while len(self._instances[variant]) > count:
                    removed.append(self._instances[variant].pop())
        return removed

    def drain(self, instances: Iterable[Instance]) -> None:
        """Ends instances that get no new requests: in-flight ones are finished first. Waits."""
        instances = list(instances)
        with self._lock:
            self._expected_ends.update(i.identifier for i in instances)
        if instances:
            with ThreadPoolExecutor(min(16, len(instances)), thread_name_prefix=f"drain-{self._endpoint}") as pool:
                list(pool.map(Instance.drain, instances))

    def close(self) -> None:
        """Drains and forgets everything."""
        self._stop.set()
        self.drain(self.shrink(dict.fromkeys(self._instances, 0)))
        shutil.rmtree(self._folder, ignore_errors=True)

    def abandon(self) -> None:
        """Starts nothing more; the processes end with the cloud."""
        self._stop.set()

    def _start(self, variant: str) -> Instance:
        instance = self._spawn(variant)
        settings = self.config.variants[variant]
        timeout = float(settings.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_SECONDS)
        if not instance.wait_healthy(timeout, self._stop):
            with self._lock:
                self._expected_ends.add(instance.identifier)
            instance.process.kill()
            instance.process.wait(5)
            raise LaunchError(
                f"The primary container for production variant {variant} did not pass the ping health check. Please check "
                "CloudWatch logs for this endpoint."
            )
        with self._lock:
            if self._stop.is_set() or instance.exited:
                self._expected_ends.add(instance.identifier)
                instance.process.kill()
                raise LaunchError(f"An instance of production variant {variant} ended while it was started.")
            self._instances[variant].append(instance)
        return instance

    def _spawn(self, variant: str) -> Instance:
        artefact = self._artefacts[variant]
        assert artefact.image is not None
        identifier = f"i-{secrets.token_hex(8)}"
        base = self._folder / identifier
        artefact.unpack(base)
        port = free_port()
        environment = artefact.environment() | {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_SAFE_PORT_RANGE": f"{port}-{port}"}
        group, role = f"/aws/sagemaker/Endpoints/{self._endpoint}", artefact.model.given.get("ExecutionRoleArn")
        stream = self._runtime.stream(self._account, self._region, group, f"{variant}/{identifier}", role)
        ended = threading.Event()

        def finished(process: ContainerProcess) -> None:
            ended.set()
            self._runtime.finish(stream)
            shutil.rmtree(base, ignore_errors=True)
            self._ended(variant, identifier)

        try:
            process = self._runtime.spawn(
                artefact.image,
                command=["serve"],
                environment=environment,
                base_dir=base,
                credentials=self._credentials(artefact.model),
                log=stream,
                on_exit=finished,
            )
        except (ImageError, LocalError) as error:
            self._runtime.finish(stream)
            raise LaunchError(str(error)) from error
        return Instance(identifier, self.config, port, process, ended)

    def _credentials(self, model: ModelRecord) -> dict[str, str] | None:
        role = model.given.get("ExecutionRoleArn")
        if model.given.get("EnableNetworkIsolation") or self.config.given.get("EnableNetworkIsolation") or not role:
            return None
        place = {"AWS_ENDPOINT_URL": self._cloud.url, "AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        return self._cloud.credentials_for(role) | place

    def _ended(self, variant: str, identifier: str) -> None:
        with self._lock:
            known = [i for i in self._instances[variant] if i.identifier == identifier]
            if identifier in self._expected_ends or not known or self._stop.is_set() or self._cloud.closing.is_set():
                self._expected_ends.discard(identifier)
                return
            self._instances[variant] = [i for i in self._instances[variant] if i.identifier != identifier]
        log.warning("instance %s of %s/%s ended by itself; it is replaced", identifier, self._endpoint, variant)
        self._on_change()
        threading.Thread(target=self._replace, args=(variant,), name=f"replace-{self._endpoint}", daemon=True).start()

    def _replace(self, variant: str) -> None:
        while not self._stop.is_set() and not self._cloud.closing.is_set():
            with self._lock:
                if len(self._instances[variant]) >= self.desired.get(variant, 0):
                    return
            try:
                self._start(variant)
            except LaunchError as error:
                log.warning("a replacement of %s/%s did not start: %s", self._endpoint, variant, error)
                self._stop.wait(RESTART_PAUSE)
                continue
            self._on_change()
            return
