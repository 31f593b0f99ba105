"""Pipelines of one account and region, and their executions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from local.cloud.aws_errors import not_implemented
from local.cloud.containers.runtime import runtime_of
from local.cloud.jobs.backend import JobOps
from local.cloud.jobs.checks import check_role
from local.cloud.jobs.listing import Listing
from local.cloud.pipelines.definition import parse
from local.cloud.pipelines.execution import Execution, Order
from local.cloud.pipelines.pipeline import Pipeline, parameter_values
from local.cloud.registry.backend import who
from local.cloud.sagemaker.base import conflict, not_found, validation


class PipelineOps(JobOps):
    """Create, change, start, watch and stop pipelines. They lie in moto's own collection, where tags find them."""

    pipelines: dict[str, Any]

    def register_pipeline(self, request: dict[str, Any]) -> Pipeline:
        text = self._definition_text(request)
        if text is None:
            raise validation("Either PipelineDefinition or PipelineDefinitionS3Location must be given.")
        check_role(self.cloud, self.account_id, request["RoleArn"])
        name = request["PipelineName"]
        definition = parse(text)
        now = self.now()
        with self.lock:
            if name in self.pipelines:
                known: Pipeline = self.pipelines[name]
                if known.request == request:  # the same call, its ClientRequestToken included: sent again
                    return known
                raise validation(
                    f"Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) already exists."
                )
            pipeline = self.pipelines[name] = Pipeline(
                name=name,
                arn=self.arn("pipeline", name),
                display_name=request.get("PipelineDisplayName") or name,
                definition_text=text,
                definition=definition,
                role_arn=request["RoleArn"],
                description=request.get("PipelineDescription"),
                parallelism=request.get("ParallelismConfiguration"),
                tags=list(request.get("Tags") or []),
                created=now,
                modified=now,
                created_by=who(),
                request=request,
            )
        return pipeline

    def change_pipeline(self, request: dict[str, Any]) -> Pipeline:
        pipeline = self.pipeline(request["PipelineName"])
        text = self._definition_text(request)
        definition = parse(text) if text is not None else None
        if "RoleArn" in request:
            check_role(self.cloud, self.account_id, request["RoleArn"])
        with self.lock:
            if text is not None and definition is not None:
                pipeline.definition_text, pipeline.definition = text, definition
            pipeline.role_arn = request.get("RoleArn", pipeline.role_arn)
            pipeline.display_name = request.get("PipelineDisplayName", pipeline.display_name)
            pipeline.description = request.get("PipelineDescription", pipeline.description)
            pipeline.parallelism = request.get("ParallelismConfiguration", pipeline.parallelism)
            pipeline.modified = self.now()
        return pipeline

    def pipeline(self, name_or_arn: str) -> Pipeline:
        """The pipeline of a name or an ARN."""
        found: Pipeline | None = self.pipelines.get(name_or_arn.rsplit("/", 1)[-1])
        if found is None or (name_or_arn.startswith("arn:") and name_or_arn != found.arn):
            arn = name_or_arn if name_or_arn.startswith("arn:") else self.arn("pipeline", name_or_arn)
            raise not_found(f"Pipeline '{arn}' does not exist.")
        return found

    def remove_pipeline(self, name: str) -> str:
        pipeline = self.pipeline(name)
        with self.lock:
            running = [execution.arn for execution in pipeline.executions.values() if not execution.is_over]
            if running:
                raise conflict(f"The pipeline {pipeline.name} can't be deleted while executions of it run: {', '.join(running)}.")
            del self.pipelines[pipeline.name]
        return pipeline.arn

    def find_pipelines(self, request: Mapping[str, Any]) -> dict[str, Any]:
        prefix = request.get("PipelineNamePrefix") or ""
        found = [pipeline.summary() for pipeline in list(self.pipelines.values()) if pipeline.name.startswith(prefix)]
        shown, token = Listing(request, {"Name": "PipelineName", "CreationTime": "CreationTime"}).page(found, "PipelineName")
        return {"PipelineSummaries": shown, "NextToken": token}

    def start_execution(self, request: dict[str, Any]) -> str:
        """Start an execution; the same ClientRequestToken with the same request gets the same one."""
        for unsupported in ("SelectiveExecutionConfig", "PipelineVersionId", "PipelineVersionAlias"):
            if unsupported in request:
                raise not_implemented("sagemaker", f"StartPipelineExecution with {unsupported}")
        pipeline = self.pipeline(request["PipelineName"])
        given = list(request.get("PipelineParameters") or [])
        token = request["ClientRequestToken"]
        asked = {name: value for name, value in request.items() if name != "ClientRequestToken"}
        with self.lock:
            if token in pipeline.tokens:
                before, arn = pipeline.tokens[token]
                if before != asked:
                    raise conflict(f"The ClientRequestToken was used for another request, which started {arn}.")
                return arn
            role = request.get("RoleArn") or pipeline.role_arn
            check_role(self.cloud, self.account_id, role)
            order = Order(
                account=self.account_id,
                region=self.region_name,
                pipeline_name=pipeline.name,
                pipeline_arn=pipeline.arn,
                role_arn=role,
                definition_text=pipeline.definition_text,
                definition=pipeline.definition,
                parameters=parameter_values(pipeline.definition.parameters, given),
                given=given,
                started_by=who(),
            )
            execution = Execution(self.cloud, order, pipeline.cache, self.job, {"ParallelismConfiguration": pipeline.parallelism, **asked})
            pipeline.executions[execution.arn] = execution
            pipeline.tokens[token] = (asked, execution.arn)
            pipeline.last_run = execution.created
        self.cloud.shutdown_hooks.append(execution.wake)
        execution.start()
        return execution.arn

    def execution(self, arn: str) -> Execution:
        """The execution of an ARN."""
        for pipeline in list(self.pipelines.values()):
            found: Execution | None = pipeline.executions.get(arn)
            if found is not None:
                return found
        raise not_found(f"Pipeline execution '{arn}' does not exist.")

    def list_executions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = []
        for execution in list(self.pipeline(request["PipelineName"]).executions.values()):
            described = execution.describe()
            summary = {
                "PipelineExecutionArn": execution.arn,
                "StartTime": execution.created,
                "CreationTime": execution.created,
                "PipelineExecutionStatus": execution.status,
                "PipelineExecutionDescription": described.get("PipelineExecutionDescription"),
                "PipelineExecutionDisplayName": execution.display_name,
                "PipelineExecutionFailureReason": described.get("FailureReason"),
            }
            found.append({name: value for name, value in summary.items() if value is not None})
        listing = Listing(request, {"CreationTime": "CreationTime", "PipelineExecutionArn": "PipelineExecutionArn"})
        shown, token = listing.page(found, "PipelineExecutionArn")
        return {"PipelineExecutionSummaries": shown, "NextToken": token}

    def list_execution_steps(self, request: Mapping[str, Any]) -> dict[str, Any]:
        steps = self.execution(request["PipelineExecutionArn"]).steps_in_order()
        places = {step["StepName"]: position for position, step in enumerate(steps)}
        listing = Listing(request, {}, default_sort="Place")
        shown, token = listing.page([{**step, "Place": places[step["StepName"]] + 1} for step in steps], "StepName")
        return {"PipelineExecutionSteps": shown, "NextToken": token}

    def list_execution_parameters(self, request: Mapping[str, Any]) -> dict[str, Any]:
        given = [dict(entry) for entry in self.execution(request["PipelineExecutionArn"]).order.given]
        shown, token = Listing(request, {}, default_sort="Name", descending=False).page(given, "Name")
        return {"PipelineParameters": shown, "NextToken": token}

    def stop_execution(self, arn: str) -> str:
        execution = self.execution(arn)
        if execution.is_over:
            raise validation(f"Pipeline execution '{arn}' is in status {execution.status}; only one that is executing can be stopped.")
        execution.stop()
        return arn

    def retry_execution(self, request: Mapping[str, Any]) -> str:
        execution = self.execution(request["PipelineExecutionArn"])
        failed_on_purpose = any(run.step.type == "Fail" and run.status for run in execution.runs.values())
        if execution.status not in ("Failed", "Stopped", "CompletedWithFailures") or failed_on_purpose:
            reason = "it reached a Fail step" if failed_on_purpose else f"it is in status {execution.status}"
            raise validation(f"Pipeline execution '{execution.arn}' can't be retried: {reason}.")
        execution.change({name: value for name, value in request.items() if name == "ParallelismConfiguration"})
        execution.retry()
        return execution.arn

    def _definition_text(self, request: Mapping[str, Any]) -> str | None:
        text, place = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
        if text is not None and place is not None:
            raise validation("Only one of PipelineDefinition and PipelineDefinitionS3Location may be given.")
        if place is None:
            return text
        s3 = runtime_of(self.cloud).client("s3", self.account_id, self.region_name)
        version = {"VersionId": place["VersionId"]} if place.get("VersionId") else {}
        try:
            body: bytes = s3.get_object(Bucket=place["Bucket"], Key=place["ObjectKey"], **version)["Body"].read()
        except ClientError as error:
            where = f"s3://{place['Bucket']}/{place['ObjectKey']}"
            raise validation(f"The pipeline definition {where} can't be read: {error.response['Error'].get('Message')}") from error
        return body.decode()
