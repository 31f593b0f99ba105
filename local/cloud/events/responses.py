"""Requests to EventBridge: moto keeps buses and rules, events go to the bus that delivers them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from moto.events.responses import EventsHandler

from local.cloud import context
from local.cloud.aws_errors import CloudError
from local.cloud.events.bus import Bus
from local.cloud.events.patterns import invalid, matches


class EventsResponse(EventsHandler):
    """PutEvents that is delivered; PutRule that checks the pattern; TestEventPattern."""

    def put_rule(self) -> tuple[str, dict[str, Any]]:
        pattern = self._get_param("EventPattern")
        if pattern:
            reason = invalid(pattern)
            if reason:
                raise CloudError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}")
        answer: tuple[str, dict[str, Any]] = super().put_rule()
        return answer

    def test_event_pattern(self) -> str:
        pattern, event = self._get_param("EventPattern"), self._get_param("Event")
        reason = invalid(pattern)
        if reason:
            raise CloudError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}")
        return json.dumps({"Result": matches(json.loads(pattern), json.loads(event))})

    def put_events(self) -> str:
        entries = self._get_param("Entries")
        if not 1 <= len(entries) <= 10:
            raise CloudError(
                "ValidationException", "1 validation error detected: Value at 'entries' failed to satisfy constraint: 1 to 10 entries"
            )
        answers = [self._put(entry) for entry in entries]
        return json.dumps({"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers})

    def _put(self, entry: dict[str, Any]) -> dict[str, str]:
        for member in ("Source", "DetailType", "Detail"):
            if not entry.get(member):
                return {
                    "ErrorCode": "InvalidArgument",
                    "ErrorMessage": f"Parameter {member} is not valid. Reason: {member} is a required argument.",
                }
        if entry["Source"].startswith("aws."):
            return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        bus = context.current().events
        assert isinstance(bus, Bus)
        name = str(entry.get("EventBusName") or "default").rsplit("/", 1)[-1]
        if name not in self.events_backend.event_buses:
            raise CloudError("ResourceNotFoundException", f"Event bus {name} does not exist.")
        at = datetime.fromtimestamp(float(entry["Time"]), UTC) if entry.get("Time") else None
        event = bus.envelope(
            self.current_account, self.region, entry["Source"], entry["DetailType"], detail, entry.get("Resources", []), at
        )
        bus.accept(self.current_account, self.region, name, event)
        return {"EventId": event["id"]}
