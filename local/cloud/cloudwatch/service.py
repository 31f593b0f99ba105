"""CloudWatch of one cloud: a store and alarms per account and region, and the thread that evaluates the alarms."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .alarms import Alarms, MetricAlarm, StateChange
from .store import MetricName, MetricStore

if TYPE_CHECKING:
    from local.cloud.context import Cloud

log = logging.getLogger(__name__)

EVALUATION_SECONDS = 10.0
"""Cloud seconds between two evaluations; CloudWatch does it every minute, and every ten seconds for high-resolution alarms."""

SHORTEST_PAUSE = 0.05
"""Real seconds between two evaluations, so that a fast clock does not busy the machine."""

_LATEST = 2 * EVALUATION_SECONDS
"""Cloud seconds after which time waits for the next evaluation; on a fast clock the shortest pause comes on top."""


@dataclass
class Room:
    """CloudWatch of one account and region."""

    account_id: str
    region: str
    store: MetricStore
    alarms: Alarms
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def alarm_arn(self, name: str) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{self.account_id}:alarm:{name}"


class CloudWatch:
    """Metrics and alarms of a cloud; `cloud.metrics`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._rooms: dict[tuple[str, str], Room] = {}
        self._listeners: list[Callable[[Room, StateChange], None]] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def room(self, account_id: str, region: str) -> Room:
        """The store and alarms of an account and region, made on first use."""
        with self._lock:
            room = self._rooms.get((account_id, region))
            if room is None:
                store = MetricStore()
                room = Room(
                    account_id,
                    region,
                    store,
                    Alarms(store, self._cloud.clock.time, lambda change: self._changed(account_id, region, change)),
                )
                self._rooms[account_id, region] = room
            return room

    def put(
        self,
        account_id: str,
        region: str,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        value: float,
        unit: str = "None",
        timestamp: float | None = None,
    ) -> None:
        """Adds one observation, now on the cloud's clock unless a timestamp (epoch seconds) is given."""
        at = self._cloud.clock.time() if timestamp is None else timestamp
        self.room(account_id, region).store.put(MetricName.of(namespace, name, dimensions), value, at, unit)

    def listen(self, listener: Callable[[Room, StateChange], None]) -> Callable[[], None]:
        """Calls the listener at each change of an alarm's state; gives a function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def evaluate_soon(self) -> None:
        """Has the alarms evaluated without waiting for the next turn; starts the evaluating thread when it is not running."""
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
                self._thread.start()
        self._wake.set()

    def evaluate(self) -> None:
        """Evaluates every alarm of every account once."""
        with self._lock:
            rooms = list(self._rooms.values())
        for room in rooms:
            room.alarms.evaluate()

    def close(self) -> None:
        """Stops the evaluation."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(timeout=2)

    def _run(self) -> None:
        clock = self._cloud.clock
        with clock.tether(_LATEST) as tether:  # clients that wait for a state, or poll one, get no old one
            while not self._stop.is_set():
                self._wake.clear()
                self.evaluate()
                self._stop.wait(SHORTEST_PAUSE)
                now = clock.time()
                tether.pull(_LATEST + 2 * SHORTEST_PAUSE * clock.speed)
                clock.wait_until((now // EVALUATION_SECONDS + 1) * EVALUATION_SECONDS, self._wake)

    def _changed(self, account_id: str, region: str, change: StateChange) -> None:
        room = self.room(account_id, region)
        log.info("alarm %s of %s: %s -> %s", change.alarm.name, account_id, change.previous, change.state)
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(room, change)
        threading.Thread(target=self._announce, args=(room, change), name="alarm-actions", daemon=True).start()

    def _announce(self, room: Room, change: StateChange) -> None:
        alarm = change.alarm
        try:
            self._cloud.events.put(
                room.account_id, room.region, "aws.cloudwatch", "CloudWatch Alarm State Change", _event_detail(change), [alarm.arn]
            )
        except Exception:
            log.exception("the event of alarm %s could not be delivered", alarm.name)
        if alarm.given.get("ActionsEnabled", True) is False:
            return
        member = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}[change.state]
        for action in alarm.given.get(member) or []:
            self._act(room, alarm, action, change)

    def _act(self, room: Room, alarm: MetricAlarm, action: str, change: StateChange) -> None:
        if ":sns:" not in action:
            return  # autoscaling reads its own alarms; other actions have no service here to receive them
        subject = f'{change.state}: "{alarm.name}" in {room.region}'
        try:
            sns = self._cloud.session(room.account_id, action.split(":")[3]).client("sns")
            sns.publish(TopicArn=action, Subject=subject[:100], Message=json.dumps(_notification(room, change)))
        except Exception as error:
            log.warning("alarm %s could not notify %s: %s", alarm.name, action, error)


def _event_detail(change: StateChange) -> dict[str, object]:
    alarm = change.alarm
    return {
        "alarmName": alarm.name,
        "state": {"value": change.state, "reason": change.reason, "timestamp": _iso(change.at)},
        "previousState": {"value": change.previous, "reason": change.previous_reason, "timestamp": _iso(change.previous_at)},
        "configuration": {"description": alarm.given.get("AlarmDescription", ""), "metrics": alarm.given.get("Metrics", [])},
    }


def _notification(room: Room, change: StateChange) -> dict[str, object]:
    alarm = change.alarm
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.given.get("AlarmDescription"),
        "AWSAccountId": room.account_id,
        "NewStateValue": change.state,
        "NewStateReason": change.reason,
        "StateChangeTime": _iso(change.at),
        "Region": room.region,
        "AlarmArn": alarm.arn,
        "OldStateValue": change.previous,
    }


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
