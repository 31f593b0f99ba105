"""Training jobs: channels in, model.tar.gz out (spec: SageMaker's training container contract)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from local.cloud.jobs import transfer
from local.cloud.jobs.job import FINAL, Job, resource_config

MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingJob(Job):
    """One training job. HyperParameters are strings, as the API has them."""

    kind = "Training"
    resource = "training-job"
    log_group = "/aws/sagemaker/TrainingJobs"
    stop_grace: ClassVar[float] = 120.0  # StopTrainingJob: "delays job termination for 120 seconds"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.secondary_status = ""
        self.transitions: list[dict[str, Any]] = []
        self.failure_text = ""
        self.metrics: dict[str, tuple[float, datetime]] = {}
        self.has_artifacts = False
        definitions = self.request["AlgorithmSpecification"].get("MetricDefinitions") or []
        self._patterns = [(entry["Name"], re.compile(entry["Regex"])) for entry in definitions]
        self.entered("Starting")

    @property
    def image_uri(self) -> str:
        return str(self.request["AlgorithmSpecification"]["TrainingImage"])

    @property
    def entrypoint(self) -> list[str] | None:
        found: list[str] | None = self.request["AlgorithmSpecification"].get("ContainerEntrypoint")
        return found

    @property
    def command(self) -> list[str]:
        given = self.request["AlgorithmSpecification"].get("ContainerArguments")
        return given if given is not None else [] if self.entrypoint else ["train"]

    @property
    def environment(self) -> dict[str, str]:
        return {**(self.request.get("Environment") or {}), "TRAINING_JOB_NAME": self.name, "TRAINING_JOB_ARN": self.arn}

    @property
    def is_isolated(self) -> bool:
        return bool(self.request.get("EnableNetworkIsolation"))

    @property
    def vpc(self) -> dict[str, Any] | None:
        return self.request.get("VpcConfig")

    @property
    def volume_key(self) -> str | None:
        found: str | None = self.request["ResourceConfig"].get("VolumeKmsKeyId")
        return found

    @property
    def output_uri(self) -> str:
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"

    @property
    def artifacts_uri(self) -> str:
        compressed = self.request["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"
        return f"{self.output_uri}/model.tar.gz" if compressed else f"{self.output_uri}/model/"

    def write_config(self, base: Path, translate: Callable[[Any], Any]) -> None:
        config = base / "input" / "config"
        for folder in (config, base / "model", base / "output" / "data", base / "code"):
            folder.mkdir(parents=True, exist_ok=True)
        mode = self.request["AlgorithmSpecification"]["TrainingInputMode"]
        channels = {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode") or mode,
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
                **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
            }
            for channel in self.request.get("InputDataConfig") or []
        }
        for name, value in (
            ("hyperparameters", translate(self.request.get("HyperParameters") or {})),
            ("inputdataconfig", channels),
            ("resourceconfig", resource_config(self.request["ResourceConfig"])),
        ):
            (config / f"{name}.json").write_text(json.dumps(value))

    def download(self, s3: Any, base: Path) -> None:
        for channel in self.request.get("InputDataConfig") or []:
            source = channel["DataSource"]["S3DataSource"]
            transfer.download(s3, source["S3Uri"], base / "input" / "data" / channel["ChannelName"], source["S3DataType"])

    def upload(self, s3: Any, base: Path, succeeded: bool) -> None:
        key = self.request["OutputDataConfig"].get("KmsKeyId")
        data = base / "output" / "data"
        if any(data.iterdir()):
            transfer.upload_archive(s3, data, f"{self.output_uri}/output.tar.gz", base.parent / "output.tar.gz", key)
        # A stopped job keeps what it had learnt; a failed one leaves no model.
        if not succeeded and not self.stop_requested.is_set() and not self.timed_out:
            return
        if self.artifacts_uri.endswith("/"):
            transfer.upload(s3, base / "model", self.artifacts_uri, key)
        else:
            transfer.upload_archive(s3, base / "model", self.artifacts_uri, base.parent / "model.tar.gz", key)
        self.has_artifacts = True

    def read_message(self, base: Path) -> None:
        failure = base / "output" / "failure"
        if failure.is_file():
            self.failure_text = failure.read_text(errors="replace")[:1024]

    def algorithm_error(self, exit_code: int) -> str:
        return f"AlgorithmError: {self.failure_text}, exit code: {exit_code}"

    def saw_line(self, line: str) -> None:
        for name, pattern in self._patterns:
            found = pattern.search(line)
            if found:
                try:
                    value = float(found.group(1) if pattern.groups else found.group(0))
                except ValueError:
                    continue
                with self.lock:
                    self.metrics[name] = (value, self.cloud.clock.now())

    def entered(self, phase: str) -> None:
        now = self.cloud.clock.now()
        status = "Training" if phase == "Running" else phase
        if status == "Stopped" and self.timed_out:
            status = "MaxRuntimeExceeded"
        if self.transitions and "EndTime" not in self.transitions[-1]:
            self.transitions[-1]["EndTime"] = now
        message = MESSAGES[status] if phase != "Failed" else self.failure_reason or MESSAGES[status]
        self.transitions.append({"Status": status, "StartTime": now, "StatusMessage": message})
        if phase in FINAL:
            self.transitions[-1]["EndTime"] = now
        self.secondary_status = status

    def details(self) -> dict[str, Any]:
        took = int((self.ended - self.started).total_seconds()) if self.ended and self.started else None
        return {
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": [dict(entry) for entry in self.transitions],
            "ModelArtifacts": {"S3ModelArtifacts": self.artifacts_uri} if self.has_artifacts else None,
            "FinalMetricDataList": [{"MetricName": name, "Value": value, "Timestamp": when} for name, (value, when) in self.metrics.items()]
            or None,
            "EnableNetworkIsolation": self.is_isolated,
            "EnableInterContainerTrafficEncryption": bool(self.request.get("EnableInterContainerTrafficEncryption")),
            "EnableManagedSpotTraining": bool(self.request.get("EnableManagedSpotTraining")),
            "TrainingTimeInSeconds": took,
            "BillableTimeInSeconds": took,
        }
