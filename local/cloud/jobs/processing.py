"""Processing jobs: inputs and outputs below /opt/ml/processing (spec: SageMaker's processing container contract)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from local.cloud.containers.paths import ML
from local.cloud.jobs import transfer
from local.cloud.jobs.job import Job, resource_config

MESSAGE_LIMIT = 1024  # bytes of output/message that become the ExitMessage


class ProcessingJob(Job):
    """One processing job."""

    kind = "Processing"
    resource = "processing-job"
    log_group = "/aws/sagemaker/ProcessingJobs"
    stop_grace: ClassVar[float] = 30.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.exit_message: str | None = None

    @property
    def image_uri(self) -> str:
        return str(self.request["AppSpecification"]["ImageUri"])

    @property
    def entrypoint(self) -> list[str] | None:
        found: list[str] | None = self.request["AppSpecification"].get("ContainerEntrypoint")
        return found

    @property
    def command(self) -> list[str]:
        return self.request["AppSpecification"].get("ContainerArguments") or []

    @property
    def environment(self) -> dict[str, str]:
        return {**(self.request.get("Environment") or {}), "PROCESSING_JOB_NAME": self.name, "PROCESSING_JOB_ARN": self.arn}

    @property
    def is_isolated(self) -> bool:
        return bool((self.request.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))

    @property
    def vpc(self) -> dict[str, Any] | None:
        return (self.request.get("NetworkConfig") or {}).get("VpcConfig")

    @property
    def volume_key(self) -> str | None:
        found: str | None = self.request["ProcessingResources"]["ClusterConfig"].get("VolumeKmsKeyId")
        return found

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return [entry["S3Input"] for entry in self.request.get("ProcessingInputs") or []]

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return [entry["S3Output"] for entry in (self.request.get("ProcessingOutputConfig") or {}).get("Outputs") or []]

    def write_config(self, base: Path, translate: Callable[[Any], Any]) -> None:
        config = base / "config"
        config.mkdir(parents=True, exist_ok=True)
        (base / "output").mkdir(exist_ok=True)
        for output in self.outputs:
            local_folder(base, output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        described = {name: value for name, value in self.request.items() if name != "Tags"} | {"ProcessingJobArn": self.arn}
        (config / "processingjobconfig.json").write_text(json.dumps(translate(described)))
        cluster = self.request["ProcessingResources"]["ClusterConfig"]
        (config / "resourceconfig.json").write_text(json.dumps(resource_config(cluster)))

    def download(self, s3: Any, base: Path) -> None:
        for source in self.inputs:
            transfer.download(s3, source["S3Uri"], local_folder(base, source["LocalPath"]), source.get("S3DataType", "S3Prefix"))

    def upload(self, s3: Any, base: Path, succeeded: bool) -> None:
        key = (self.request.get("ProcessingOutputConfig") or {}).get("KmsKeyId")
        for output in self.outputs:
            # Of a job that failed, only what would have been uploaded while it ran is there.
            if succeeded or output["S3UploadMode"] == "Continuous":
                transfer.upload(s3, local_folder(base, output["LocalPath"]), output["S3Uri"], key)

    def read_message(self, base: Path) -> None:
        message = base / "output" / "message"
        if message.is_file():
            self.exit_message = message.read_bytes()[:MESSAGE_LIMIT].decode("utf-8", "ignore")

    def algorithm_error(self, exit_code: int) -> str:
        return f"AlgorithmError: See job logs for more information, exit code: {exit_code}"

    def saw_line(self, line: str) -> None:
        return

    def entered(self, phase: str) -> None:
        return

    def details(self) -> dict[str, Any]:
        return {"ExitMessage": self.exit_message}


def local_folder(base: Path, local_path: str) -> Path:
    """Where a path below /opt/ml lies when `base` stands for /opt/ml."""
    return base / local_path.removeprefix(ML).lstrip("/")
