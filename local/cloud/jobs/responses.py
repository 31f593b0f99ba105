"""Requests about training and processing jobs."""

from __future__ import annotations

import json
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult

from local.cloud.jobs.backend import JobOps
from local.cloud.jobs.checks import check_shape


class JobResponses:
    """Mixed into SageMaker's response class: parses requests, asks the backend, wraps answers."""

    body: Any

    @property
    def _jobs(self) -> JobOps:
        return cast(JobOps, cast(Any, self).sagemaker_backend)

    def _asked(self, operation: str) -> dict[str, Any]:
        """The request as it came, without the members that are null; ValidationException where it does not fit the operation."""
        given: dict[str, Any] = json.loads(self.body or "{}")
        request = {name: value for name, value in given.items() if value is not None}
        check_shape(operation, request)
        return request

    def create_training_job(self) -> ActionResult:
        return ActionResult({"TrainingJobArn": self._jobs.submit_training_job(self._asked("CreateTrainingJob")).arn})

    def describe_training_job(self) -> ActionResult:
        return ActionResult(self._jobs.job("Training", self._asked("DescribeTrainingJob")["TrainingJobName"]).describe())

    def list_training_jobs(self) -> ActionResult:
        return ActionResult(self._jobs.list_jobs("Training", self._asked("ListTrainingJobs")))

    def stop_training_job(self) -> ActionResult:
        self._jobs.stop_job("Training", self._asked("StopTrainingJob")["TrainingJobName"])
        return EmptyResult()

    def create_processing_job(self) -> ActionResult:
        return ActionResult({"ProcessingJobArn": self._jobs.submit_processing_job(self._asked("CreateProcessingJob")).arn})

    def describe_processing_job(self) -> ActionResult:
        return ActionResult(self._jobs.job("Processing", self._asked("DescribeProcessingJob")["ProcessingJobName"]).describe())

    def list_processing_jobs(self) -> ActionResult:
        return ActionResult(self._jobs.list_jobs("Processing", self._asked("ListProcessingJobs")))

    def stop_processing_job(self) -> ActionResult:
        self._jobs.stop_job("Processing", self._asked("StopProcessingJob")["ProcessingJobName"])
        return EmptyResult()

    def _absent(self) -> ActionResult:
        """Jobs that moto would answer for from a record, and nothing would run."""
        raise NotImplementedError

    create_transform_job = describe_transform_job = list_transform_jobs = stop_transform_job = _absent
    create_hyper_parameter_tuning_job = describe_hyper_parameter_tuning_job = list_hyper_parameter_tuning_jobs = _absent
    delete_hyper_parameter_tuning_job = stop_hyper_parameter_tuning_job = _absent
    create_auto_ml_job = create_auto_ml_job_v2 = describe_auto_ml_job = describe_auto_ml_job_v2 = list_auto_ml_jobs = _absent
    stop_auto_ml_job = _absent
    create_compilation_job = describe_compilation_job = list_compilation_jobs = stop_compilation_job = delete_compilation_job = _absent
