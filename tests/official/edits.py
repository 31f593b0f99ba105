"""Edits of stack files: of every value that changes a resource, each to another that is as good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.infra.rendering import STACKS, Answers, Rendered, copy_of_project, render
from tests.infra.test_config import edit, put

# What a running environment can take: nothing of it moves the network or renames anything.
VALUES: dict[str, Any] = {
    "owner": "other-team",
    "costCenter": "other-budget",
    "serving.instanceType": "ml.m5.xlarge",
    "serving.instanceCount": 3,
    "serving.startupTimeoutSeconds": 700,
    "serving.autoscaling.minimum": 3,
    "serving.autoscaling.maximum": 5,
    "serving.autoscaling.targetInvocationsPerInstance": 9000,
    "serving.autoscaling.scaleInCooldownSeconds": 700,
    "serving.autoscaling.scaleOutCooldownSeconds": 130,
    "serving.dataCapture.enabled": False,
    "serving.dataCapture.samplingPercentage": 50,
    "serving.dataCapture.csvContentTypes": ["text/csv", "text/plain"],
    "serving.dataCapture.jsonContentTypes": ["application/json", "application/jsonlines"],
    "rollout.waitIntervalSeconds": 180,
    "alarms.endpoint.errorRate": 0.1,
    "alarms.endpoint.latencyP99Milliseconds": 3000,
    "alarms.endpoint.periodSeconds": 120,
    "alarms.endpoint.evaluationPeriods": 6,
    "alarms.endpoint.datapointsToAlarm": 4,
    "promotion.ledgerRetentionDays": 2,
    "jobs.processingInstanceType": "ml.m5.xlarge",
    "jobs.trainingInstanceType": "ml.m5.xlarge",
    "retention.logs": 30,
    "retention.capture": 30,
    "retention.supersededObjects": 30,
    "retention.untaggedImages": 60,
    "retention.keyDeletion": 10,
    "contacts.operations": "others@example.com",
}

# What makes another environment of it.
IDENTITY: dict[str, Any] = {
    "workload": "loans",
    "disposable": False,
    "network.cidr": "10.50.0.0/16",
    "network.subnets": [{"zone": "us-east-1c", "cidr": "10.50.0.0/20"}, {"zone": "us-east-1d", "cidr": "10.50.16.0/20"}],
    "serving.bootstrapImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn@sha256:" + "0" * 64,
    "promotion.ledgerMode": "COMPLIANCE",
    "features.group": "others",
    "features.recordIdentifier": "loan_id",
    "features.eventTime": "seen",
    "features.definitions": {"loan_id": "String", "seen": "String", "rate": "Fractional"},
}
# Must be the same in every environment.
_SAME = ("owner", "workload", "features.", "serving.dataCapture.csv", "serving.dataCapture.json")


def edited(folder: Path, stack: str, edits: Mapping[str, Any], answers: Answers) -> Rendered:
    """What the program registers for an environment once its stack file has these values; `folder` is for the files."""
    project = copy_of_project(folder)
    for path, value in edits.items():
        for each in STACKS if path.startswith(_SAME) else (stack,):
            edit(project, each, put(path, value))
    return render(stack, project=project, answers=answers)
