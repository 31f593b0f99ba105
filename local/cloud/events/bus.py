"""The event bus: takes events in, and hands them to the targets of matching rules on a thread of its own, at least once."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.events.models import Rule, events_backends

from local.cloud.context import Cloud
from local.cloud.events.patterns import matches
from local.cloud.events.targets import deliver

log = logging.getLogger(__name__)

ATTEMPTS = 5  # AWS tries for a day; here the pauses between attempts are 1, 2, 4, 8 s of cloud time
Event = dict[str, Any]


def install(cloud: Cloud) -> None:
    bus = Bus(cloud)
    cloud.events = bus
    cloud.shutdown_hooks.append(bus.close)


class Bus:
    """All buses of all accounts of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._queue: queue.SimpleQueue[tuple[Rule, Mapping[str, Any], Event] | None] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="events", daemon=True)
        self._worker.start()

    def put(
        self, account: str, region: str, source: str, detail_type: str, detail: dict[str, Any], resources: list[str] | None = None
    ) -> None:
        """Put an event of a service on the account's default bus."""
        self.accept(account, region, "default", self.envelope(account, region, source, detail_type, detail, resources or []))

    def accept(self, account: str, region: str, bus: str, event: Event) -> None:
        """Match the event against the rules as they are now, so that one enabled a moment later does not see it, and have it delivered."""
        for rule in self._rules(account, region, bus):
            if _wants(rule, event):
                for target in list(rule.targets):
                    self._queue.put((rule, target, event))

    def envelope(
        self, account: str, region: str, source: str, detail_type: str, detail: Any, resources: list[str], at: datetime | None = None
    ) -> Event:
        """An event with all that EventBridge adds."""
        moment = (at or self._cloud.clock.now()).astimezone(UTC)
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": account,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": resources,
            "detail": detail,
        }

    def close(self) -> None:
        self._queue.put(None)
        self._worker.join(5)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            self._try(*item, 1)

    def _rules(self, account: str, region: str, bus: str) -> list[Rule]:
        found = events_backends[account][region].event_buses.get(bus)
        return list(found.rules.values()) if found is not None else []

    def _try(self, rule: Rule, target: Mapping[str, Any], event: Event, attempt: int) -> None:
        if self._cloud.closing.is_set():
            return
        try:
            deliver(self._cloud, rule, target, event)
            log.info("rule %s delivered event %s to %s", rule.name, event["id"], target["Arn"])
        except Exception as error:
            if attempt >= ATTEMPTS:
                log.error("rule %s gave event %s up for %s: %s", rule.arn, event["id"], target["Arn"], error)
                return
            log.warning("rule %s could not deliver event %s to %s, attempt %d: %s", rule.arn, event["id"], target["Arn"], attempt, error)
            self._cloud.clock.call_later(2 ** (attempt - 1), lambda: self._try(rule, target, event, attempt + 1))


def _wants(rule: Rule, event: Event) -> bool:
    pattern = rule.event_pattern.get_pattern()
    if rule.state != "ENABLED" or not pattern:
        return False
    try:
        return matches(pattern, event)
    except ValueError as error:
        log.error("rule %s: %s", rule.arn, error)
        return False
