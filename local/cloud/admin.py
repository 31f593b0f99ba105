"""Pages under /_lockstep/: health, the clock that rehearsals and tests move, the rights that roles used. They are no part of AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from local.cloud.context import Cloud
from local.cloud.http import HttpRequest, HttpResponse
from local.errors import LocalError

Page = Callable[[HttpRequest], HttpResponse]


def admin_pages(cloud: Cloud) -> dict[str, Page]:
    return {
        "/_lockstep/clock": lambda request: _clock(cloud, request),
        "/_lockstep/health": lambda request: _health(cloud),
        "/_lockstep/rights": lambda request: _json(cloud.rights.describe()),
    }


def _clock(cloud: Cloud, request: HttpRequest) -> HttpResponse:
    """GET: the time. POST {"speed", "offset", "advance"}: change it, each optional, seconds."""
    if request.method == "POST":
        try:
            change = json.loads(request.body or b"{}")
            unknown = set(change) - {"speed", "offset", "advance"}
            if unknown:
                raise LocalError(f"unknown field {sorted(unknown)[0]!r}", where="clock", remedy="known are speed, offset and advance")
            cloud.clock.set(**{name: float(value) for name, value in change.items() if value is not None})
        except LocalError as error:
            return _json({"error": error.message, "remedy": error.remedy}, 400)
        except (TypeError, ValueError, AttributeError) as error:
            return _json({"error": f"not a change of the clock: {error}", "remedy": 'send JSON such as {"advance": 60}'}, 400)
    clock = cloud.clock
    return _json({"time": clock.time(), "now": clock.now().isoformat(), "speed": clock.speed, "offset": clock.offset})


def _health(cloud: Cloud) -> HttpResponse:
    return _json({"pid": os.getpid(), "url": cloud.url, "now": cloud.clock.now().isoformat(), "speed": cloud.clock.speed})


def _json(value: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "application/json")], json.dumps(value).encode())
