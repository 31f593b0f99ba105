"""PutMetricData, GetMetricData, GetMetricStatistics and ListMetrics over our own store."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.aws_errors import CloudError
from local.cloud.shape_checks import message, violations

from . import expressions
from .alarms import dimensions, query_series
from .service import Room
from .statistics import is_percentile, is_statistic, statistic
from .store import MetricName

MAXIMUM_DATUMS = 1000
PAGE = 500


def epoch(value: Any) -> float:
    """A request's time as epoch seconds; a time without a zone is UTC."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


def checked(operation: str, params: Mapping[str, Any]) -> None:
    """Refuses what botocore's model does not allow."""
    found = violations("cloudwatch", operation, params)
    if found:
        raise CloudError("ValidationError", message(found))


class MetricApi:
    """Operations on metrics of one account and region."""

    def __init__(self, room: Room, now: Callable[[], float]) -> None:
        self._room = room
        self._now = now

    def put_metric_data(self, params: dict[str, Any]) -> dict[str, Any]:
        """Adds custom metrics; the namespace AWS/ is AWS's own."""
        checked("PutMetricData", params)
        namespace = params["Namespace"]
        if namespace.startswith("AWS/"):
            raise CloudError("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
        data = params.get("MetricData") or []
        if len(data) > MAXIMUM_DATUMS:
            raise CloudError("ValidationError", f"The collection MetricData must not have a size greater than {MAXIMUM_DATUMS}.")
        for index, datum in enumerate(data, 1):
            _check_datum(datum, index)
        for datum in data:
            self._put(namespace, datum)
        return {}

    def _put(self, namespace: str, datum: dict[str, Any]) -> None:
        metric = MetricName.of(namespace, datum["MetricName"], dimensions(datum))
        at = epoch(datum["Timestamp"]) if datum.get("Timestamp") is not None else self._now()
        unit, fine = datum.get("Unit") or "None", datum.get("StorageResolution") == 1
        store = self._room.store
        if datum.get("StatisticValues") is not None:
            values = datum["StatisticValues"]
            store.put_set(
                metric, values["SampleCount"], values["Sum"], values["Minimum"], values["Maximum"], at, unit, high_resolution=fine
            )
        elif datum.get("Values") is not None:
            counts = datum.get("Counts") or [1.0] * len(datum["Values"])
            for value, count in zip(datum["Values"], counts, strict=True):
                store.put(metric, float(value), at, unit, count=float(count), high_resolution=fine)
        else:
            store.put(metric, float(datum["Value"]), at, unit, high_resolution=fine)

    def get_metric_statistics(self, params: dict[str, Any]) -> dict[str, Any]:
        """Data points of one metric, one per period and unit that has data: of the one unit that is asked for, or of each."""
        checked("GetMetricStatistics", params)
        plain, extended = params.get("Statistics") or [], params.get("ExtendedStatistics") or []
        if not plain and not extended:
            raise CloudError("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics")
        for name in extended:
            if not is_percentile(name):
                raise CloudError("InvalidParameterValue", f"The value {name} for parameter ExtendedStatistics is not supported.")
        start, end, period = epoch(params["StartTime"]), epoch(params["EndTime"]), int(params["Period"])
        if start >= end:
            raise CloudError("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
        times = _times(start, end, period)
        if len(times) > 1440:
            raise CloudError(
                "InvalidParameterCombination",
                f"You have requested up to {len(times)} datapoints, which exceeds the limit of 1,440. You may reduce the "
                "datapoints requested by "
                "increasing Period, or decreasing the time range.",
            )
        metric = MetricName.of(params["Namespace"], params["MetricName"], dimensions(params))
        points = []
        units = [params["Unit"]] if params.get("Unit") else self._room.store.units(metric)
        for moment, unit in itertools.product(times, units):
            aggregate = self._room.store.read(metric, moment, moment + period, unit)
            if aggregate is None:
                continue
            point: dict[str, Any] = {"Timestamp": datetime.fromtimestamp(moment, UTC), "Unit": unit}
            point |= {name: statistic(aggregate, name) for name in plain}
            if extended:
                values = {name: statistic(aggregate, name) for name in extended}
                point["ExtendedStatistics"] = {name: value for name, value in values.items() if value is not None}
            points.append(point)
        return {"Label": params["MetricName"], "Datapoints": points}

    def get_metric_data(self, params: dict[str, Any]) -> dict[str, Any]:
        """Time series of metrics and of expressions over them."""
        checked("GetMetricData", params)
        queries = params["MetricDataQueries"]
        for index, query in enumerate(queries, 1):
            if ("MetricStat" in query) == ("Expression" in query):
                raise CloudError("ValidationError", f"The parameter MetricDataQueries.member.{index}.MetricStat is required.\n")
            if "MetricStat" in query and not is_statistic(query["MetricStat"]["Stat"]):
                raise CloudError(
                    "ValidationError",
                    f"The value {query['MetricStat']['Stat']} for parameter MetricDataQueries.member.{index}.MetricStat.Stat is not "
                    "supported.",
                )
        start, end = epoch(params["StartTime"]), epoch(params["EndTime"])
        if start >= end:
            raise CloudError("ValidationError", "The parameter EndTime must be greater than StartTime.")
        results = []
        for query in queries:
            if not query.get("ReturnData", True):
                continue
            period = _period(query, queries)
            times = _times(start, end, period)
            try:
                values = query_series(self._room.store, queries, times, period)[query["Id"]]
            except expressions.ExpressionError as error:
                raise CloudError("ValidationError", f"Error in expression '{query['Id']}': {error}") from error
            order = sorted(values, reverse=params.get("ScanBy", "TimestampDescending") == "TimestampDescending")
            order = [t for t in order if not math.isnan(values[t])]
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or (query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]),
                    "Timestamps": [datetime.fromtimestamp(t, UTC) for t in order],
                    "Values": [float(values[t]) for t in order],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def list_metrics(self, params: dict[str, Any]) -> dict[str, Any]:
        """Metrics that have data, filtered by namespace, name and dimensions."""
        checked("ListMetrics", params)
        found = [m for m in self._room.store.metrics() if _listed(m, params)]
        token = params.get("NextToken") or "0"
        if not token.isdecimal():
            raise CloudError("InvalidParameterValue", "The value of the parameter NextToken is invalid.")
        start = int(token)
        result: dict[str, Any] = {
            "Metrics": [
                {"Namespace": m.namespace, "MetricName": m.name, "Dimensions": [{"Name": k, "Value": v} for k, v in m.dimensions]}
                for m in found[start : start + PAGE]
            ]
        }
        if len(found) > start + PAGE:
            result["NextToken"] = str(start + PAGE)
        return result


def _listed(metric: MetricName, params: Mapping[str, Any]) -> bool:
    if params.get("Namespace") not in (None, metric.namespace) or params.get("MetricName") not in (None, metric.name):
        return False
    own = dict(metric.dimensions)
    return all(d["Name"] in own and d.get("Value") in (None, own[d["Name"]]) for d in params.get("Dimensions") or [])


def _times(start: float, end: float, period: int) -> list[int]:
    first = int(start // period) * period
    return list(range(first, math.ceil(end), period))


def _period(query: Mapping[str, Any], queries: list[dict[str, Any]]) -> int:
    if "MetricStat" in query:
        return int(query["MetricStat"]["Period"])
    return int(query.get("Period") or max((q["MetricStat"]["Period"] for q in queries if "MetricStat" in q), default=60))


def _check_datum(datum: Mapping[str, Any], index: int) -> None:
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    place = f"MetricData.member.{index}"
    if len(given) != 1:
        if not given:
            raise CloudError(
                "MissingParameter",
                f"At least one of the parameters must be specified: {place}.Value, {place}.Values, {place}.StatisticValues.",
            )
        raise CloudError(
            "InvalidParameterCombination",
            f"The parameters {place}.{given[0]} and {place}.{given[1]} are mutually exclusive and you have specified both.",
        )
    numbers = datum["Values"] if "Values" in given else [datum["Value"]] if "Value" in given else list(datum["StatisticValues"].values())
    if any(math.isnan(n) or math.isinf(n) for n in numbers):
        raise CloudError("InvalidParameterValue", f"The value NaN or infinity for parameter {place}.Value is invalid.")
    if "Values" in given and datum.get("Counts") is not None and len(datum["Counts"]) != len(datum["Values"]):
        raise CloudError("InvalidParameterValue", f"The parameters {place}.Values and {place}.Counts must have the same size.")
