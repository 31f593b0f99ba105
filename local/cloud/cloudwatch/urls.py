"""CloudWatch's paths: "/" for the JSON and query protocols, /service/.../operation/... for CBOR."""

from __future__ import annotations

import re
from typing import Any, cast

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.exceptions import ServiceException
from moto.core.request import Request

from local.cloud import context
from local.cloud.aws_errors import CloudError
from local.cloud.dispatch import call as calls

from .alarm_api import AlarmApi
from .metric_api import MetricApi
from .service import CloudWatch, Room
from .wire import Answer, Operation, answer

url_bases = [r"https?://monitoring\.(.+)\.amazonaws.com"]


def handle(request: Request, full_url: str, headers: Any) -> Answer:
    """Answers one request to CloudWatch."""
    cloud = context.current()
    call = calls.current()
    assert call is not None
    service = cast(CloudWatch, cloud.metrics)
    room = service.room(call.account, call.region)
    parts: tuple[object, ...] = (MetricApi(room, cloud.clock.time), AlarmApi(room, service.evaluate_soon), _Dashboards(room))
    operations: dict[str, Operation] = {}
    for part in parts:
        operations |= {_camel(n): getattr(part, n) for n in dir(part) if not n.startswith("_")}
    return answer(request, operations)


class _Dashboards:
    """Dashboards, which moto keeps."""

    def __init__(self, room: Room) -> None:
        self._backend = cloudwatch_backends[room.account_id][room.region]

    def put_dashboard(self, params: dict[str, Any]) -> dict[str, Any]:
        self._backend.put_dashboard(params["DashboardName"], params["DashboardBody"])
        return {"DashboardValidationMessages": []}

    def get_dashboard(self, params: dict[str, Any]) -> dict[str, Any]:
        board = self._backend.get_dashboard(params["DashboardName"])
        if board is None:
            raise CloudError("ResourceNotFound", f"Dashboard {params['DashboardName']} does not exist", 404)
        return {"DashboardArn": board.arn, "DashboardBody": board.body, "DashboardName": board.name}

    def list_dashboards(self, params: dict[str, Any]) -> dict[str, Any]:
        boards = self._backend.list_dashboards(params.get("DashboardNamePrefix", ""))
        now = context.current().clock.now()
        return {
            "DashboardEntries": [{"DashboardName": b.name, "DashboardArn": b.arn, "LastModified": now, "Size": len(b.body)} for b in boards]
        }

    def delete_dashboards(self, params: dict[str, Any]) -> dict[str, Any]:
        try:
            problem = self._backend.delete_dashboards(params["DashboardNames"])
        except ServiceException as error:
            raise CloudError(error.code, error.message) from error
        if problem:
            raise CloudError("ResourceNotFound", problem, 404)
        return {}


def _camel(name: str) -> str:
    return re.sub(r"(?:^|_)(.)", lambda m: m.group(1).upper(), name)


url_paths = {"{0}/$": handle, "{0}/service/[^/]+/operation/[^/]+$": handle}
