"""Requests about pipelines and their executions."""

from __future__ import annotations

import json
from typing import Any, cast

from moto.core.responses import ActionResult

from local.cloud.jobs.checks import check_shape
from local.cloud.pipelines.backend import PipelineOps


class PipelineResponses:
    """Mixed into SageMaker's response class: parses requests, asks the backend, wraps answers."""

    body: Any

    @property
    def _pipelines(self) -> PipelineOps:
        return cast(PipelineOps, cast(Any, self).sagemaker_backend)

    def _wanted(self, operation: str) -> dict[str, Any]:
        """The request as it came, without the members that are null; ValidationException where it does not fit the operation."""
        given: dict[str, Any] = json.loads(self.body or "{}")
        request = {name: value for name, value in given.items() if value is not None}
        check_shape(operation, request)
        return request

    def create_pipeline(self) -> ActionResult:
        return ActionResult({"PipelineArn": self._pipelines.register_pipeline(self._wanted("CreatePipeline")).arn})

    def update_pipeline(self) -> ActionResult:
        return ActionResult({"PipelineArn": self._pipelines.change_pipeline(self._wanted("UpdatePipeline")).arn})

    def delete_pipeline(self) -> ActionResult:
        return ActionResult({"PipelineArn": self._pipelines.remove_pipeline(self._wanted("DeletePipeline")["PipelineName"])})

    def describe_pipeline(self) -> ActionResult:
        return ActionResult(self._pipelines.pipeline(self._wanted("DescribePipeline")["PipelineName"]).describe())

    def list_pipelines(self) -> ActionResult:
        return ActionResult(self._pipelines.find_pipelines(self._wanted("ListPipelines")))

    def start_pipeline_execution(self) -> ActionResult:
        return ActionResult({"PipelineExecutionArn": self._pipelines.start_execution(self._wanted("StartPipelineExecution"))})

    def stop_pipeline_execution(self) -> ActionResult:
        arn = self._wanted("StopPipelineExecution")["PipelineExecutionArn"]
        return ActionResult({"PipelineExecutionArn": self._pipelines.stop_execution(arn)})

    def retry_pipeline_execution(self) -> ActionResult:
        return ActionResult({"PipelineExecutionArn": self._pipelines.retry_execution(self._wanted("RetryPipelineExecution"))})

    def update_pipeline_execution(self) -> ActionResult:
        request = self._wanted("UpdatePipelineExecution")
        execution = self._pipelines.execution(request["PipelineExecutionArn"])
        execution.change(request)
        return ActionResult({"PipelineExecutionArn": execution.arn})

    def describe_pipeline_execution(self) -> ActionResult:
        arn = self._wanted("DescribePipelineExecution")["PipelineExecutionArn"]
        return ActionResult(self._pipelines.execution(arn).describe())

    def describe_pipeline_definition_for_execution(self) -> ActionResult:
        execution = self._pipelines.execution(self._wanted("DescribePipelineDefinitionForExecution")["PipelineExecutionArn"])
        return ActionResult({"PipelineDefinition": execution.order.definition_text, "CreationTime": execution.created})

    def list_pipeline_executions(self) -> ActionResult:
        return ActionResult(self._pipelines.list_executions(self._wanted("ListPipelineExecutions")))

    def list_pipeline_execution_steps(self) -> ActionResult:
        request = self._wanted("ListPipelineExecutionSteps")
        return ActionResult(self._pipelines.list_execution_steps(request))

    def list_pipeline_parameters_for_execution(self) -> ActionResult:
        return ActionResult(self._pipelines.list_execution_parameters(self._wanted("ListPipelineParametersForExecution")))
