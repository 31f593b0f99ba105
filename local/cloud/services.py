"""Which services there are: signing name and path -> service -> url table, ours or moto's."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

Handler = Callable[..., Any]

# Service (its name in botocore) -> the module that holds `url_paths`. Those of `local` extend moto's; the others are moto's as they are.
URL_TABLES: dict[str, str] = {
    "sagemaker": "local.cloud.sagemaker.urls",
    "sagemaker-runtime": "local.cloud.endpoints.urls",
    "sts": "local.cloud.sts.urls",
    "s3": "local.cloud.s3.urls",
    "ecr": "local.cloud.ecr.urls",
    "ec2": "local.cloud.ec2.urls",
    "events": "local.cloud.events.urls",
    "iam": "local.cloud.iam.urls",
    "cloudwatch": "local.cloud.cloudwatch.urls",
    "application-autoscaling": "local.cloud.autoscaling.urls",
    "logs": "local.cloud.logs.urls",
    "kms": "moto.kms.urls",
    "dynamodb": "local.cloud.dynamodb.urls",
    "sns": "moto.sns.urls",
    "sqs": "moto.sqs.urls",
    "ssm": "moto.ssm.urls",
    "secretsmanager": "moto.secretsmanager.urls",
    "cloudtrail": "moto.cloudtrail.urls",
    "glue": "moto.glue.urls",
    "athena": "moto.athena.urls",
    "budgets": "moto.budgets.urls",
    "resourcegroupstaggingapi": "moto.resourcegroupstaggingapi.urls",
    "organizations": "moto.organizations.urls",
    "s3control": "moto.s3control.urls",
    "service-quotas": "local.cloud.quotas.urls",
}

_BY_SIGNING_NAME = {
    "monitoring": "cloudwatch",
    "eventbridge": "events",
    "tagging": "resourcegroupstaggingapi",
    "servicequotas": "service-quotas",
}


def service_of(signing_name: str, path: str, target: str) -> str:
    """The botocore name of the service that a signing name and path mean; several services share one signing name."""
    if signing_name == "sagemaker" and not target:
        if re.match(r"/endpoints/[^/]+/(async-)?invocations", path):
            return "sagemaker-runtime"
        if path.startswith("/FeatureGroup/") or path == "/BatchGetRecord":
            return "sagemaker-featurestore-runtime"
        if path.startswith("/BatchPutMetrics") or path.startswith("/BatchGetMetrics"):
            return "sagemaker-metrics"
    if signing_name == "s3" and path.startswith("/v20180820/"):
        return "s3control"
    return _BY_SIGNING_NAME.get(signing_name, signing_name)


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern over the undecoded path, and what answers."""

    pattern: re.Pattern[str]
    handler: Handler


@cache
def routes(service: str) -> tuple[Route, ...] | None:
    """The routes of a service in order, or None where the embedded cloud does not have it."""
    name = URL_TABLES.get(service)
    if name is None:
        return None
    module = importlib.import_module(name)
    return tuple(Route(re.compile(_anchored(path.format(""))), handler) for path, handler in module.url_paths.items())


def _anchored(path: str) -> str:
    return path if path.endswith("$") else f"{path}$" if not path.endswith(".+)") else path
