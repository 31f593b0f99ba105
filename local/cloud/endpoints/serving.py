"""A live endpoint: its fleets, its routing table, and the operations that change it, one at a time on a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from local.cloud.cloudwatch.service import CloudWatch
from local.cloud.containers.runtime import runtime_of

from . import events
from .artefact import LaunchError
from .capture import Capture
from .fleet import Fleet
from .instance import Instance
from .metrics import Recorder, Usage
from .plan import Counts, plan
from .records import ConfigRecord, EndpointRecord, ModelRecord, Pending, Status
from .rollout import Closing, Rollout
from .router import Pool, Table
from .switches import Switches

if TYPE_CHECKING:
    from local.cloud.context import Cloud

log = logging.getLogger(__name__)


class Serving:
    """The running side of an endpoint. The record is what Describe reads; it changes under `lock`."""

    def __init__(self, cloud: Cloud, account: str, region: str, record: EndpointRecord, switches: Switches) -> None:
        self.cloud, self.account, self.region, self.record, self.switches = cloud, account, region, record, switches
        self.cloudwatch = cast(CloudWatch, cloud.metrics)
        self.room = self.cloudwatch.room(account, region)
        self.recorder = Recorder(self.room.store, record.name)
        self.usage = Usage(self.room.store, record.name)
        self.lock = threading.RLock()
        self.table: Table[Instance] = Table({})
        self.fleet: Fleet | None = None
        self.green: Fleet | None = None
        self.left_over: list[Fleet] = []
        self.deployed = False
        self.rollback_failed: str | None = None
        self.idle = threading.Event()
        self._models: dict[str, ModelRecord] = {}
        self.capture = Capture(cloud, record.name, self._capture_client)

    # what may happen to an endpoint

    def create(self, models: dict[str, ModelRecord]) -> None:
        """Starts the first fleet; InService or Failed."""
        self._models = models
        self._begin("Creating", lambda: self._create(models))

    def update(self, config: ConfigRecord, models: dict[str, ModelRecord], pending: Pending, deployment: Mapping[str, Any] | None) -> None:
        """Replaces the fleet by one of another config, by the deployment's policy."""
        count = sum(state.desired_count for state in pending.variants.values())
        with self.lock:
            # Describe shows a status from the first moment on.
            pending.statuses = {name: Status("Creating", f"Launching {count} instance(s).", pending.start) for name in pending.variants}
            self.record.pending = pending
            self.record.modified = self.cloud.clock.now()
        self._begin("Updating", lambda: self._update(config, models, deployment))

    def resize(self, changes: Mapping[str, tuple[int | None, float | None]]) -> None:
        """Sets counts and weights of variants."""
        self._begin("Updating", lambda: self._resize(changes))

    def delete(self, gone: Callable[[], None]) -> None:
        """Drains everything; then calls `gone`."""

        def work() -> None:
            with self.lock:
                self.table = Table({})
                fleets = self._fleets()
                self.fleet, self.green, self.left_over = None, None, []
            for fleet in fleets:
                fleet.close()
            self.capture.flush()
            gone()

        self._begin("Deleting", work)

    def abandon(self) -> None:
        """The cloud goes down: start nothing more."""
        for fleet in self._fleets():
            fleet.abandon()

    # what a deployment tells

    def say(self, status: str, message: str) -> None:
        """Sets the VariantStatus of every variant that is changing."""
        now = self.cloud.clock.now()
        with self.lock:
            pending = self.record.pending
            target = pending.statuses if pending else self.record.statuses
            for name in self.record.variants:
                target[name] = Status(status, message, now)
        if self.record.pending is not None:
            events.deployment_changed(self)

    def route(self, blue: Fleet, blue_counts: Counts, green: Fleet, green_counts: Counts) -> None:
        """Shifts traffic to these many instances of each fleet, at one instant."""
        with self.lock:
            blue.active, green.active = dict(blue_counts), dict(green_counts)
            self.deployed = True
            self.rebuild()

    def rebuild(self) -> None:
        """Makes a new routing table from the fleets."""
        with self.lock:
            fleets = self._fleets()
            pools = {}
            for name, state in self.record.variants.items():
                targets = tuple(t for f in fleets if name in f.config.variants for t in f.targets(name))
                strategy = (self.record.config.variants[name].get("RoutingConfig") or {}).get("RoutingStrategy")
                pools[name] = Pool(state.current_weight, targets, strategy == "LEAST_OUTSTANDING_REQUESTS")
            self.table = Table(pools)
            self._count()

    def sample_usage(self) -> None:
        """Publishes the use of the processes."""
        with self.lock:
            processes = [(v, i.process.pid) for f in self._fleets() for v, i in f.everyone()]
        self.usage.sample(self.cloud.clock.time(), processes, str(self.cloud.home))

    # how it is done

    def _begin(self, status: str, work: Callable[[], None]) -> None:
        with self.lock:
            self.record.status = status
            self.record.modified = self.cloud.clock.now()
            self.idle.clear()
        events.endpoint_changed(self)

        def run() -> None:
            try:
                work()
            except Closing:
                return
            except Exception:
                log.exception("%s of endpoint %s failed", status, self.record.name)
                self._end(
                    "Failed" if status == "Creating" else "InService",
                    "The request failed because of an internal error of the embedded cloud.",
                )
            finally:
                self.idle.set()

        threading.Thread(target=run, name=f"endpoint-{self.record.name}", daemon=True).start()

    def _end(self, status: str, failure: str | None) -> None:
        with self.lock:
            self.record.status, self.record.failure_reason = status, failure
            self.record.pending = None
            self.record.statuses = {}
            self.record.modified = self.cloud.clock.now()
        events.endpoint_changed(self)

    def _fleets(self) -> list[Fleet]:
        """Every fleet that may take traffic: the one that serves, what a rollback that failed left over, and the new one."""
        return [f for f in (self.fleet, *self.left_over, self.green) if f is not None]

    def _fleet(self, config: ConfigRecord, models: dict[str, ModelRecord]) -> Fleet:
        return Fleet(self.cloud, self.account, self.region, self.record.name, config, models, self.rebuild)

    def _create(self, models: dict[str, ModelRecord]) -> None:
        counts = {name: state.desired_count for name, state in self.record.variants.items()}
        self.say("Creating", f"Launching {sum(counts.values())} instance(s).")
        try:
            fleet = self._fleet(self.record.config, models)
            self.fleet = fleet
            fleet.launch(counts)
        except LaunchError as error:
            if self.fleet is not None:
                self.fleet.close()
            with self.lock:
                self.fleet = None
            if not self.cloud.closing.is_set():
                self._end("Failed", str(error))
            return
        for state in self.record.variants.values():
            state.current_weight = state.desired_weight
        self.rebuild()
        self._end("InService", None)

    def _update(self, config: ConfigRecord, models: dict[str, ModelRecord], deployment: Mapping[str, Any] | None) -> None:
        pending = self.record.pending
        assert pending is not None
        blue = self.fleet
        if blue is None:
            raise RuntimeError("an endpoint without a fleet is updated")
        self.rollback_failed = None
        with self.lock:
            if self.green is not None:
                self.left_over.append(self.green)
                self.green = None
        wanted = {name: state.desired_count for name, state in pending.variants.items()}
        steps = plan(deployment, dict(blue.desired), wanted, self.switches)
        try:
            green = self._fleet(config, models)
        except LaunchError as error:
            self._end("InService", str(error))
            return
        green.active = dict.fromkeys(wanted, 0)
        self.green = green
        reason = Rollout(self, steps, blue, green, self.switches).run()
        if reason is None:
            self._finish(config, models, pending, blue, green)
            self._drop_left_over()
        elif self.rollback_failed:
            self._end("UpdateRollbackFailed", f"{reason} {self.rollback_failed}")
        else:
            with self.lock:
                self.green = None
                self.rebuild()
            green.close()
            self._drop_left_over()
            self._end("InService", reason)

    def _drop_left_over(self) -> None:
        with self.lock:
            fleets, self.left_over = self.left_over, []
            self.rebuild()
        for fleet in fleets:
            fleet.close()

    def _finish(self, config: ConfigRecord, models: dict[str, ModelRecord], pending: Pending, blue: Fleet, green: Fleet) -> None:
        with self.lock:
            green.active = None
            self.fleet, self.green = green, None
            self._models = models
            self.record.config = config
            self.record.variants = pending.variants
            for state in pending.variants.values():
                state.current_weight = state.desired_weight
            self.rebuild()
        blue.close()
        self._end("InService", None)

    def _resize(self, changes: Mapping[str, tuple[int | None, float | None]]) -> None:
        fleet = self.fleet
        if fleet is None:
            raise RuntimeError("an endpoint without a fleet is resized")
        before = {name: (s.desired_count, s.desired_weight) for name, s in self.record.variants.items()}
        with self.lock:
            for name, (count, weight) in changes.items():
                state = self.record.variants[name]
                state.desired_count = state.desired_count if count is None else count
                state.desired_weight = state.desired_weight if weight is None else weight
        counts = {name: state.desired_count for name, state in self.record.variants.items()}
        self.say("Updating", "Updating weights and capacities.")
        try:
            fleet.launch(counts)
        except LaunchError as error:
            with self.lock:
                for name, (count, weight) in before.items():
                    self.record.variants[name].desired_count, self.record.variants[name].desired_weight = count, weight
            fleet.drain(fleet.shrink({name: count for name, (count, _) in before.items()}))
            self._end("InService", str(error))
            return
        removed = fleet.shrink(counts)
        with self.lock:
            for state in self.record.variants.values():
                state.current_weight = state.desired_weight
            self.rebuild()
        fleet.drain(removed)
        self._end("InService", None)

    def _count(self) -> None:
        for name, state in self.record.variants.items():
            state.current_count = self.fleet.count(name) if self.fleet else 0
        if self.record.pending and self.green:
            for name, state in self.record.pending.variants.items():
                state.current_count = self.green.count(name)

    def _capture_client(self) -> Any:
        role = next((m.given.get("ExecutionRoleArn") for m in self._models.values()), None)
        return runtime_of(self.cloud).client("s3", self.account, self.region, role)
