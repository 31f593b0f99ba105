"""Requests to CloudWatch Logs that depend on what time it is.

moto takes this machine's time, and would drop the events of a cloud whose clock is hours ahead of it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from moto.core.utils import unix_time_millis
from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.responses import LogsResponse as MotoLogsResponse

from local.cloud.context import current

OLDEST = 14 * 86400 * 1000  # milliseconds: "none of the log events in the batch can be older than 14 days"
NEWEST = 2 * 3600 * 1000  # "... or more than 2 hours in the future"


class LogsResponse(MotoLogsResponse):
    """moto's CloudWatch Logs with these operations on the cloud's clock."""

    def create_log_group(self) -> str:
        answer = super().create_log_group()
        self.logs_backend.groups[self._get_param("logGroupName")].creation_time = _now()
        return answer

    def create_log_stream(self) -> str:
        answer = super().create_log_stream()
        group = self.logs_backend.groups[self._get_param("logGroupName")]
        group.streams[self._get_param("logStreamName")].creation_time = _now()
        return answer

    def put_log_events(self) -> str:
        group = self.logs_backend.groups.get(self._get_param("logGroupName"))
        if group is None:
            raise ResourceNotFoundException()
        events: list[dict[str, Any]] = self._get_param("logEvents")
        now = _now()
        stamp = int(unix_time_millis(now))
        accepted, rejected = _in_time(events, stamp)
        name = self._get_param("logStreamName")
        token = group.put_log_events(name, accepted)
        stream = group.streams[name]
        stream.last_ingestion_time = now
        for event in stream.events[len(stream.events) - len(accepted) :]:
            event.ingestion_time = stamp
        return json.dumps({"nextSequenceToken": token, **({"rejectedLogEventsInfo": rejected} if rejected else {})})


def _now() -> datetime:
    """Cloud time as moto keeps times: in UTC, without saying so."""
    return current().clock.now().replace(tzinfo=None)


def _in_time(events: list[dict[str, Any]], now: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The events that are neither too old nor too far ahead of `now` (milliseconds), and where the others stand."""
    stamps = [event["timestamp"] for event in events]
    if stamps != sorted(stamps):
        raise InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
    old = sum(stamp < now - OLDEST for stamp in stamps)
    ahead = sum(stamp > now + NEWEST for stamp in stamps)
    rejected = {}
    if old:
        rejected["tooOldLogEventEndIndex"] = old
    if ahead:
        rejected["tooNewLogEventStartIndex"] = len(events) - ahead
    return events[old : len(events) - ahead], rejected
