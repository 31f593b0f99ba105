"""Training and processing jobs of one account and region."""

from __future__ import annotations

from typing import Any

from local.cloud.context import caller
from local.cloud.iam.rights import check_volume
from local.cloud.jobs.checks import check_channels, check_processing, check_role, check_training
from local.cloud.jobs.job import Job
from local.cloud.jobs.listing import Listing
from local.cloud.jobs.processing import ProcessingJob
from local.cloud.jobs.runner import runner_of
from local.cloud.jobs.training import TrainingJob
from local.cloud.sagemaker.base import SageMakerBase, resource_in_use, validation

UNKNOWN = {"Training": "Requested resource not found.", "Processing": "Could not find requested job with name: {name}"}


class JobOps(SageMakerBase):
    """Create, describe, list and stop jobs. They lie in moto's own collections, so tags of a job work as of any resource."""

    training_jobs: dict[str, Any]
    processing_jobs: dict[str, Any]

    def submit_training_job(self, request: dict[str, Any]) -> Job:
        check_training(request)
        check_role(self.cloud, self.account_id, request["RoleArn"])
        check_channels(self.cloud, self.account_id, self.region_name, request)
        return self._submit(TrainingJob, self.training_jobs, request)

    def submit_processing_job(self, request: dict[str, Any]) -> Job:
        check_processing(request)
        return self._submit(ProcessingJob, self.processing_jobs, request)

    def job(self, kind: str, name: str) -> Job:
        """The job of a kind (Training or Processing) by its name."""
        found: Job | None = self._jobs(kind).get(name)
        if found is None:
            raise validation(UNKNOWN[kind].format(name=name))
        return found

    def stop_job(self, kind: str, name: str) -> None:
        job = self.job(kind, name)
        if job.is_over:
            raise validation(f"The request was rejected because the {kind.lower()} job is in status {job.status}.")
        runner_of(self.cloud).stop(job)

    def list_jobs(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        jobs = [job.describe() for job in list(self._jobs(kind).values())]
        listing = Listing(request, {"Name": f"{kind}JobName", "Status": f"{kind}JobStatus", "CreationTime": "CreationTime"})
        shown, token = listing.page(jobs, f"{kind}JobName", f"{kind}JobStatus")
        return {f"{kind}JobSummaries": shown, "NextToken": token}

    def _jobs(self, kind: str) -> dict[str, Any]:
        return self.training_jobs if kind == "Training" else self.processing_jobs

    def _submit(self, kind: type[Job], jobs: dict[str, Any], request: dict[str, Any]) -> Job:
        check_role(self.cloud, self.account_id, request["RoleArn"])
        job = kind(self.cloud, self.account_id, self.region_name, request)
        check_volume(self.cloud, caller(), job.role_arn, self.region_name, job.volume_key)
        with self.lock:
            if job.name in jobs:
                raise resource_in_use(
                    f"{kind.kind} job names must be unique within an AWS account and region, and a {kind.kind.lower()} job with this name "
                    f"already exists ({jobs[job.name].arn})."
                )
            jobs[job.name] = job
        runner_of(self.cloud).submit(job)
        return job
