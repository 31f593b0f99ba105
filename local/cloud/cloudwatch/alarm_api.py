"""Operations on metric alarms, in the shapes of CloudWatch's API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local.cloud.aws_errors import CloudError, not_implemented

from . import expressions
from .alarms import MetricAlarm, query_series
from .evaluation import COMPARISONS, TREATMENTS
from .metric_api import checked, epoch
from .service import Room
from .statistics import is_percentile, is_statistic
from .store import MetricStore

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
PAGE = 100
_RETURNED = (
    "AlarmName", "AlarmDescription", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName", "Namespace", "Statistic",
    "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator",
    "TreatMissingData", "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId",
)  # fmt: skip


class AlarmApi:
    """Operations on the alarms of one account and region; `evaluate_soon` has a new alarm looked at without waiting."""

    def __init__(self, room: Room, evaluate_soon: Callable[[], None]) -> None:
        self._room = room
        self._evaluate_soon = evaluate_soon

    def put_metric_alarm(self, params: dict[str, Any]) -> dict[str, Any]:
        """Creates or replaces an alarm. A replaced one keeps its state until it is evaluated."""
        checked("PutMetricAlarm", params)
        _check_alarm(params)
        given = {name: params[name] for name in _RETURNED if params.get(name) is not None}
        given["ActionsEnabled"] = params.get("ActionsEnabled", True) is not False
        arn = self._room.alarm_arn(params["AlarmName"])
        new = self._room.alarms.get(params["AlarmName"]) is None
        self._room.alarms.put(arn, given)
        if new and params.get("Tags"):
            self._room.tags[arn] = {tag["Key"]: tag["Value"] for tag in params["Tags"]}
        self._evaluate_soon()
        return {}

    def put_composite_alarm(self, params: dict[str, Any]) -> dict[str, Any]:
        raise not_implemented("cloudwatch", "PutCompositeAlarm")

    def describe_alarms(self, params: dict[str, Any]) -> dict[str, Any]:
        """Alarms by name, prefix, state or action, with the cloud's timestamps."""
        checked("DescribeAlarms", params)
        if params.get("AlarmNames") and params.get("AlarmNamePrefix"):
            raise CloudError("ValidationError", "AlarmNamePrefix and AlarmNames cannot be specified together")
        if params.get("AlarmTypes") and "MetricAlarm" not in params["AlarmTypes"]:
            return {"MetricAlarms": [], "CompositeAlarms": []}
        found = [a for a in self._room.alarms.all() if _selected(a, params)]
        token, size = params.get("NextToken") or "0", int(params.get("MaxRecords") or PAGE)
        if not token.isdecimal():
            raise CloudError("InvalidNextToken", "The next token specified is invalid.")
        start = int(token)
        result: dict[str, Any] = {"MetricAlarms": [describe(a) for a in found[start : start + size]], "CompositeAlarms": []}
        if len(found) > start + size:
            result["NextToken"] = str(start + size)
        return result

    def describe_alarms_for_metric(self, params: dict[str, Any]) -> dict[str, Any]:
        """Alarms on one metric."""
        checked("DescribeAlarmsForMetric", params)
        wanted = {d["Name"]: d["Value"] for d in params.get("Dimensions") or []}
        found = []
        for alarm in self._room.alarms.all():
            given = alarm.given
            same = given.get("MetricName") == params["MetricName"] and given.get("Namespace") == params["Namespace"]
            if same and {d["Name"]: d["Value"] for d in given.get("Dimensions") or []} == wanted:
                found.append(describe(alarm))
        return {"MetricAlarms": found}

    def describe_alarm_history(self, params: dict[str, Any]) -> dict[str, Any]:
        """What happened to alarms, newest first."""
        checked("DescribeAlarmHistory", params)
        items = [
            item
            for alarm in self._room.alarms.all()
            if params.get("AlarmName") in (None, alarm.name)
            for item in alarm.history
            if params.get("HistoryItemType") in (None, item["HistoryItemType"])
        ]
        if params.get("StartDate") is not None:
            items = [i for i in items if i["Timestamp"].timestamp() >= epoch(params["StartDate"])]
        if params.get("EndDate") is not None:
            items = [i for i in items if i["Timestamp"].timestamp() <= epoch(params["EndDate"])]
        items.sort(key=lambda i: i["Timestamp"], reverse=params.get("ScanBy", "TimestampDescending") == "TimestampDescending")
        return {"AlarmHistoryItems": items[: int(params.get("MaxRecords") or PAGE)]}

    def delete_alarms(self, params: dict[str, Any]) -> dict[str, Any]:
        """Deletes alarms by name, all or none: an unknown name refuses the call."""
        checked("DeleteAlarms", params)
        unknown = [name for name in params["AlarmNames"] if self._room.alarms.get(name) is None]
        if unknown:
            raise CloudError("ResourceNotFound", f"Alarm(s) not found: {', '.join(unknown)}", 404)
        for alarm in self._room.alarms.delete(params["AlarmNames"]):
            self._room.tags.pop(alarm.arn, None)
        return {}

    def set_alarm_state(self, params: dict[str, Any]) -> dict[str, Any]:
        """Moves an alarm for a while: the next evaluation sets what the data say."""
        checked("SetAlarmState", params)
        alarm = self._room.alarms.get(params["AlarmName"])
        if alarm is None:
            raise CloudError("ResourceNotFound", "Could not find the alarm.", 404)
        self._room.alarms.set_state(alarm, params["StateValue"], params["StateReason"], params.get("StateReasonData"))
        return {}

    def enable_alarm_actions(self, params: dict[str, Any]) -> dict[str, Any]:
        return self._switch_actions(params, True)

    def disable_alarm_actions(self, params: dict[str, Any]) -> dict[str, Any]:
        return self._switch_actions(params, False)

    def list_tags_for_resource(self, params: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags(params["ResourceARN"])
        return {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}

    def tag_resource(self, params: dict[str, Any]) -> dict[str, Any]:
        self._tags(params["ResourceARN"]).update({tag["Key"]: tag["Value"] for tag in params["Tags"]})
        return {}

    def untag_resource(self, params: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags(params["ResourceARN"])
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        name = arn.partition(":alarm:")[2]
        if self._room.alarms.get(name) is None:
            raise CloudError("ResourceNotFoundException", f"Resource {arn} does not exist.", 404)
        return self._room.tags.setdefault(arn, {})

    def _switch_actions(self, params: dict[str, Any], enabled: bool) -> dict[str, Any]:
        for name in params["AlarmNames"]:
            alarm = self._room.alarms.get(name)
            if alarm is not None:
                alarm.given["ActionsEnabled"] = enabled
        return {}


def describe(alarm: MetricAlarm) -> dict[str, Any]:
    """An alarm as DescribeAlarms returns it."""
    result = {name: alarm.given[name] for name in _RETURNED if name in alarm.given}
    for actions in ("OKActions", "AlarmActions", "InsufficientDataActions", "Dimensions"):
        result.setdefault(actions, [])
    result |= {
        "AlarmArn": alarm.arn,
        "ActionsEnabled": alarm.given["ActionsEnabled"],
        "AlarmConfigurationUpdatedTimestamp": _time(alarm.configured_at),
        "StateValue": alarm.state,
        "StateReason": alarm.state_reason,
        "StateUpdatedTimestamp": _time(alarm.state_at),
        "StateTransitionedTimestamp": _time(alarm.state_at),
    }
    if alarm.state_reason_data is not None:
        result["StateReasonData"] = alarm.state_reason_data
    return result


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _selected(alarm: MetricAlarm, params: dict[str, Any]) -> bool:
    if params.get("AlarmNames") and alarm.name not in params["AlarmNames"]:
        return False
    if params.get("AlarmNamePrefix") and not alarm.name.startswith(params["AlarmNamePrefix"]):
        return False
    if params.get("StateValue") and alarm.state != params["StateValue"]:
        return False
    prefix = params.get("ActionPrefix")
    actions = [a for m in ("OKActions", "AlarmActions", "InsufficientDataActions") for a in alarm.given.get(m) or []]
    return not prefix or any(a.startswith(prefix) for a in actions)


def _check_alarm(params: dict[str, Any]) -> None:
    comparison = params["ComparisonOperator"]
    for absent in ("EvaluationWindow", "EvaluationCriteria", "WarmUpConfiguration"):
        if params.get(absent) is not None:
            raise not_implemented("cloudwatch", f"PutMetricAlarm with {absent}")
    if comparison not in COMPARISONS:
        raise not_implemented("cloudwatch", f"PutMetricAlarm with {comparison}")
    if params.get("Threshold") is None:
        raise CloudError("ValidationError", "The parameter Threshold is required.")
    treat = params.get("TreatMissingData")
    if treat is not None and treat not in TREATMENTS:
        raise CloudError(
            "ValidationError",
            f"Option {treat} is not supported. Supported options for TreatMissingData are [breaching, notBreaching, ignore, missing].",
        )
    if params.get("DatapointsToAlarm") and params["DatapointsToAlarm"] > params["EvaluationPeriods"]:
        raise CloudError("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    if params.get("Metrics"):
        _check_metrics(params)
        period = max((q["MetricStat"]["Period"] for q in params["Metrics"] if "MetricStat" in q), default=60)
    else:
        _check_single(params)
        period = params["Period"]
    longest = 604800 if period >= 3600 else 86400
    if period * params["EvaluationPeriods"] > longest:
        raise CloudError(
            "ValidationError", "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
        )


def _check_single(params: dict[str, Any]) -> None:
    for name in ("MetricName", "Namespace", "Period"):
        if params.get(name) is None:
            raise CloudError("ValidationError", f"The parameter {name} is required.")
    plain, extended = params.get("Statistic"), params.get("ExtendedStatistic")
    if (plain is None) == (extended is None):
        raise CloudError("ValidationError", "Exactly one of Statistic and ExtendedStatistic must be specified.")
    if extended is not None and not is_percentile(extended):
        raise CloudError("ValidationError", f"Percentile must be between p0.0 and p100: {extended}")
    _check_period(params["Period"])


def _check_period(period: int) -> None:
    if period not in (1, 5, 10, 20, 30) and period % 60:
        raise CloudError("ValidationError", "Period must be 10, 20, 30 or a multiple of 60")


def _check_metrics(params: dict[str, Any]) -> None:
    for single in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit"):
        if params.get(single):
            raise CloudError("ValidationError", f"The parameters Metrics and {single} are mutually exclusive.")
    queries = params["Metrics"]
    if sum(1 for q in queries if q.get("ReturnData", True)) != 1:
        raise CloudError("ValidationError", "Exactly one element of the metrics list should return data.")
    ids = {q["Id"] for q in queries}
    if len(ids) != len(queries):
        raise CloudError("ValidationError", "The ids of the metrics list must be unique.")
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            raise CloudError("ValidationError", f"The metric {query['Id']} needs exactly one of MetricStat and Expression.")
        if "MetricStat" in query:
            if not is_statistic(query["MetricStat"]["Stat"]):
                raise CloudError("ValidationError", f"Invalid statistic: {query['MetricStat']['Stat']}")
            _check_period(query["MetricStat"]["Period"])
            continue
        try:
            unknown = expressions.names(query["Expression"]) - ids
            sample = {i: {0: 1.0} for i in ids - {query["Id"]}}
            if not unknown:
                expressions.compute(query["Expression"], sample, [0])
        except expressions.ExpressionError as error:
            raise CloudError("ValidationError", f"Error in expression '{query['Id']}': {error}") from error
        if unknown:
            raise CloudError("ValidationError", f"Error in expression '{query['Id']}': Undefined variable '{sorted(unknown)[0]}'")
    try:
        query_series(MetricStore(), queries, [], 60)
    except expressions.ExpressionError as error:
        raise CloudError("ValidationError", f"Error in the metrics list: {error}") from error
