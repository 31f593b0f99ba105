"""Carries out a deployment: provision green, shift, bake, watch the alarms, delete blue; or take it all back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.cloud.cloudwatch.alarms import StateChange
from local.cloud.cloudwatch.service import Room

from .artefact import LaunchError
from .fleet import Fleet
from .plan import Counts, Plan, Stage, size
from .switches import Switches

if TYPE_CHECKING:
    from .serving import Serving

log = logging.getLogger(__name__)


class Abort(Exception):
    """The deployment can't go on; the message is what FailureReason says."""


class Closing(Exception):
    """The cloud is going down: nothing is finished and nothing is taken back."""


class Rollout:
    """One run of a plan. `run` gives None when green serves, else the reason for the rollback."""

    def __init__(self, serving: Serving, plan: Plan, blue: Fleet, green: Fleet, switches: Switches) -> None:
        self._serving, self._plan, self._blue, self._green, self._switches = serving, plan, blue, green, switches
        self._original: Counts = dict(blue.desired)
        self._spent = 0.0
        self._wake = threading.Event()
        self._passed_over: set[str] = set()
        self._watching = False
        self._rang: set[str] = set()
        self._clock = serving.cloud.clock

    def run(self) -> str | None:
        """Deploys. A rollback that fails leaves the serving's `rollback_failed` set."""
        end = self._serving.cloudwatch.listen(self._heard)
        try:
            self._deploy()
        except (Abort, LaunchError) as error:
            log.warning("deployment of %s is rolled back: %s", self._serving.record.name, error)
            self._roll_back()
            return str(error)
        except Closing:
            raise
        except Exception:
            log.exception("deployment of %s failed and is rolled back", self._serving.record.name)
            self._roll_back()
            return "The deployment failed because of an internal error."
        finally:
            end()
        return None

    def _deploy(self) -> None:
        first = True
        for stage in self._plan.stages:
            self._provision(stage)
            if first:
                if self._switches.alarm_before == "ignore":
                    self._passed_over = {name for name in self._plan.alarms if self._state(name) == "ALARM"}
                self._watching = True
            else:
                self._check_alarms()
            self._shift(stage)
            self._bake(stage)
            self._retire(stage)
            self._check_alarms()
            first = False

    def _provision(self, stage: Stage) -> None:
        missing = sum(n - self._green.count(v) for v, n in stage.provision.items())
        if missing <= 0:
            return
        self._serving.say("Creating", f"Launching {missing} instance(s).")
        self._green.active = {v: 0 for v in stage.provision} if self._green.active is None else self._green.active
        with self._physical():
            self._green.launch(stage.provision)
        self._check_time()

    def _shift(self, stage: Stage) -> None:
        self._serving.say("ActivatingTraffic", f"Turning on traffic for {sum(stage.green.values())} instance(s).")
        self._serving.route(self._blue, stage.blue, self._green, stage.green)

    def _bake(self, stage: Stage) -> None:
        self._serving.say("Baking", stage.message)
        start = self._clock.time()
        end = start + stage.bake
        limit = end if self._plan.timeout is None else min(end, start + self._plan.timeout - self._spent)
        while True:
            self._wake.clear()
            self._check_alarms()
            if self._clock.wait_until(limit, self._wake):
                break
            if self._serving.cloud.closing.is_set():
                raise Closing
        self._serving.room.alarms.evaluate(self._plan.alarms)  # their thread may come late: no bake ends on what it saw last
        self._check_alarms()
        # What was to be waited, not what it took: on a fast clock a machine that is busy wakes up late by much.
        self._spent += limit - start
        if limit < end:
            raise Abort(self._too_long())

    def _retire(self, stage: Stage) -> None:
        if not any(stage.retire.values()):
            return
        with self._physical():
            self._serving.say("Deleting", f"Deleting {sum(stage.retire.values())} instance(s) of the old fleet.")
            left = {v: max(0, self._blue.count(v) - n) for v, n in stage.retire.items()}
            # The instances that still take traffic are the first ones of the fleet, and shrinking starts at its end.
            self._blue.drain(self._blue.shrink(left))

    def _roll_back(self) -> None:
        serving = self._serving
        batch = self._plan.rollback_batch
        gradual = self._plan.kind == "ROLLING" and batch is not None and not (batch["Type"] == "CAPACITY_PERCENT" and batch["Value"] >= 100)
        try:
            for counts in self._rollback_steps(gradual):
                self._blue.launch(counts)
                left = {v: max(0, self._original[v] - n) if gradual else 0 for v, n in counts.items()}
                left = {v: min(n, self._green.count(v)) for v, n in left.items()}
                serving.route(self._blue, counts, self._green, left)
                serving.say("Deleting", f"Deleting {sum(self._green.count(v) - n for v, n in left.items())} instance(s) of the new fleet.")
                self._green.drain(self._green.shrink(left))
        except LaunchError as error:
            serving.rollback_failed = f"The rollback failed: {error}"
            self._blue.active = self._green.active = None  # all that is healthy serves: a mix
            serving.rebuild()
            return
        self._blue.active = None
        serving.rebuild()

    def _rollback_steps(self, gradual: bool) -> Iterator[Counts]:
        if gradual and self._plan.rollback_batch is not None:
            batch = {v: size(self._plan.rollback_batch, n, self._switches.percent_rounding) for v, n in self._original.items()}
            have = {v: self._blue.count(v) for v in self._original}
            while any(have[v] < n for v, n in self._original.items()):
                have = {v: min(n, have[v] + batch[v]) for v, n in self._original.items()}
                if have != self._original:
                    yield dict(have)
        yield dict(self._original)

    def _heard(self, room: Room, change: StateChange) -> None:
        if (room.account_id, room.region) != (self._serving.account, self._serving.region) or change.alarm.name not in self._plan.alarms:
            return
        if change.state != "ALARM":
            self._passed_over.discard(change.alarm.name)
        elif self._watching:
            self._rang.add(change.alarm.name)  # for good: it may be OK again before anybody looks
        self._wake.set()

    def _state(self, name: str) -> str | None:
        alarm = self._serving.room.alarms.get(name)
        return alarm.state if alarm else None

    def _check_alarms(self) -> None:
        states = {name: self._state(name) for name in self._plan.alarms if name not in self._passed_over}
        tripped = [name for name in self._plan.alarms if name in self._rang or states.get(name) == "ALARM"]
        if tripped:
            raise Abort(f"One or more configured CloudWatch alarms went into ALARM state during the deployment: {', '.join(tripped)}.")
        lost = [name for name, state in states.items() if state is None]
        if lost and self._switches.missing_alarm == "rollback":
            raise Abort(f"One or more configured CloudWatch alarms could not be found: {', '.join(lost)}.")

    def _check_time(self) -> None:
        if self._plan.timeout is not None and self._spent > self._plan.timeout:
            raise Abort(self._too_long())

    def _too_long(self) -> str:
        return f"The deployment exceeded its maximum execution time-out of {self._plan.timeout:g} seconds."

    @contextmanager
    def _physical(self) -> Iterator[None]:
        """Counts real seconds towards the time-out: work of processes is not sped up with the clock."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - start
        if self._serving.cloud.closing.is_set():
            raise Closing
