"""Metric alarms."""

from __future__ import annotations

from typing import Any

from local.provider.api import Api
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Tags
from local.provider.shapes import Problems, from_aws

_FIELDS = (
    "alarmDescription",
    "namespace",
    "metricName",
    "statistic",
    "extendedStatistic",
    "period",
    "evaluationPeriods",
    "datapointsToAlarm",
    "threshold",
    "comparisonOperator",
    "treatMissingData",
    "alarmActions",
    "okActions",
    "insufficientDataActions",
    "actionsEnabled",
    "unit",
    "thresholdMetricId",
    "evaluateLowSampleCountPercentiles",
)
_CALL = Call("PutMetricAlarm", {"AlarmName": "$name"}, fields=_FIELDS)


def _params(inputs: Properties) -> dict[str, Any]:
    """The call's parameters; dimensions are a map in the SDK and a list of pairs in AWS, here and in metric queries."""
    from local.provider.operations import Request

    values = {
        k: (int(v) if k in ("period", "evaluationPeriods", "datapointsToAlarm") else v) for k, v in inputs.items() if v not in ("", None)
    }
    params = Request("cloudwatch", _CALL, values, "").params
    if inputs.get("dimensions"):
        params["Dimensions"] = _pairs(inputs["dimensions"])
    if inputs.get("metricQueries"):
        params["Metrics"] = [_query(q) for q in inputs["metricQueries"]]
    return params


def _pairs(dimensions: Properties) -> list[dict[str, str]]:
    return [{"Name": k, "Value": str(v)} for k, v in sorted(dimensions.items())]


def _query(query: Properties) -> dict[str, Any]:
    members = {
        "id": "Id",
        "expression": "Expression",
        "label": "Label",
        "returnData": "ReturnData",
        "period": "Period",
        "accountId": "AccountId",
    }
    made = {member: query[name] for name, member in members.items() if query.get(name) not in (None, "")}
    made.setdefault("ReturnData", False)
    metric = query.get("metric")
    if metric:
        described = {"Namespace": metric.get("namespace"), "MetricName": metric["metricName"]}
        if metric.get("dimensions"):
            described["Dimensions"] = _pairs(metric["dimensions"])
        made["MetricStat"] = {"Metric": {k: v for k, v in described.items() if v}, "Period": int(metric["period"]), "Stat": metric["stat"]}
        if metric.get("unit"):
            made["MetricStat"]["Unit"] = metric["unit"]
    return made


def _found_query(query: dict[str, Any]) -> Properties:
    made: Properties = {"id": query["Id"], "returnData": bool(query.get("ReturnData", False))}
    made |= {
        name: query[member]
        for name, member in (("expression", "Expression"), ("label", "Label"), ("period", "Period"))
        if query.get(member)
    }
    stat = query.get("MetricStat")
    if stat:
        metric = stat["Metric"]
        made["metric"] = {
            "metricName": metric.get("MetricName"),
            "namespace": metric.get("Namespace"),
            "period": stat["Period"],
            "stat": stat["Stat"],
        }
        if metric.get("Dimensions"):
            made["metric"]["dimensions"] = {d["Name"]: d["Value"] for d in metric["Dimensions"]}
        if stat.get("Unit"):
            made["metric"]["unit"] = stat["Unit"]
    return made


def _create(api: Api, inputs: Properties) -> str:
    tags = [{"Key": k, "Value": v} for k, v in sorted((inputs.get("tagsAll") or {}).items())]
    api.call("cloudwatch", "PutMetricAlarm", **_params(inputs), **({"Tags": tags} if tags else {}))
    return str(inputs["name"])


def _update(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    if changed - {"tags", "tagsAll"}:
        api.call("cloudwatch", "PutMetricAlarm", **_params(new))


def _read(api: Api, identity: str, known: Properties) -> Properties | None:
    found = api.call("cloudwatch", "DescribeAlarms", AlarmNames=[identity], AlarmTypes=["MetricAlarm"]).get("MetricAlarms")
    if not found:
        return None
    alarm = found[0]
    from local.provider.schema import type_schema
    from local.provider.shapes import key_of

    members = {key_of(k): v for k, v in alarm.items()}
    outputs = type_schema(ALARM.token).outputs
    state = {name: from_aws(members.get(key_of(name)), outputs[name]) for name in _FIELDS}
    return {
        **state,
        "name": alarm["AlarmName"],
        "arn": alarm["AlarmArn"],
        "dimensions": {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []},
        "metricQueries": [_found_query(q) for q in alarm.get("Metrics") or []],
    }


def _check(inputs: Properties, problems: Problems) -> None:
    if inputs.get("metricName") is None and inputs.get("metricQueries") is None:
        problems.add("metricName", "one of metricName, metricQueries is required")
    if inputs.get("statistic") is not None and inputs.get("extendedStatistic") is not None:
        problems.add("extendedStatistic", "conflicts with statistic")
    if inputs.get("metricName") is not None and inputs.get("statistic") is None and inputs.get("extendedStatistic") is None:
        problems.add("statistic", "one of statistic, extendedStatistic is required")


ALARM = ResourceType(
    token="aws:cloudwatch/metricAlarm:MetricAlarm",
    service="cloudwatch",
    create=_CALL,
    identity="{name}",
    delete=Call("DeleteAlarms", {"AlarmNames": ["$id"]}),
    absent=("ResourceNotFound",),
    replace=("name",),
    name=AutoName("name", 255),
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    computed=("evaluateLowSampleCountPercentiles",),
    local=("dimensions", "metricQueries"),
    tags=Tags(
        tag=Call("TagResource", {"ResourceARN": "$arn"}),
        untag=Call("UntagResource", {"ResourceARN": "$arn"}),
        read=Read("ListTagsForResource", {"ResourceARN": "$arn"}, at="Tags"),
    ),
    check=_check,
    on_create=_create,
    on_read=_read,
    on_update=_update,
)

TYPES = (ALARM,)
