"""What pipelines tell EventBridge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from local.cloud.pipelines.scope import iso

if TYPE_CHECKING:
    from local.cloud.pipelines.execution import Execution
    from local.cloud.pipelines.steprun import StepRun

SOURCE = "aws.sagemaker"


def publish_execution(execution: Execution, previous: str | None) -> None:
    """An execution's status has changed."""
    detail = {
        "pipelineArn": execution.order.pipeline_arn,
        "pipelineExecutionArn": execution.arn,
        "pipelineExecutionDisplayName": execution.display_name,
        "pipelineExecutionDescription": execution.description or "",
        "currentPipelineExecutionStatus": execution.status,
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": iso(execution.created),
        "executionEndTime": iso(execution.modified) if execution.is_over else None,
    }
    _put(execution, "SageMaker Model Building Pipeline Execution Status Change", detail)


def publish_step(execution: Execution, run: StepRun, previous: str | None) -> None:
    """A step's status has changed."""
    detail = {
        "pipelineArn": execution.order.pipeline_arn,
        "pipelineExecutionArn": execution.arn,
        "stepName": run.step.name,
        "stepType": run.step.type,
        "metadata": run.metadata,
        "currentStepStatus": run.status,
        "previousStepStatus": previous,
        "stepStartTime": iso(run.started) if run.started else None,
        "stepEndTime": iso(run.ended) if run.ended else None,
        "failureReason": run.failure_reason,
        "cacheHitResult": {"sourcePipelineExecutionArn": run.cache_source} if run.cache_source else {},
    }
    _put(execution, "SageMaker Model Building Pipeline Execution Step Status Change", detail)


def _put(execution: Execution, kind: str, detail: Mapping[str, object]) -> None:
    order = execution.order
    kept = {name: value for name, value in detail.items() if value is not None}
    execution.cloud.events.put(order.account, order.region, SOURCE, kind, kept, [order.pipeline_arn, execution.arn])
