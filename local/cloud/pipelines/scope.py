"""The values that an execution offers to the expressions in its steps' arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from local.cloud.jobs.transfer import TransferError, split
from local.cloud.pipelines.expressions import Unresolved
from local.cloud.pipelines.steprun import StepRun


class ExecutionScope:
    """Parameters, variables and steps of one execution. `s3` has the rights of the pipeline's role."""

    def __init__(self, parameters: Mapping[str, Any], variables: Mapping[str, Any], runs: Mapping[str, StepRun], s3: Any) -> None:
        self._parameters = parameters
        self._variables = variables
        self._runs = runs
        self._s3 = s3

    def parameter(self, name: str) -> Any:
        return self._parameters[name]

    def variable(self, name: str) -> Any:
        if name in ("TrainingJobName", "ProcessingJobName"):
            raise Unresolved(f"Execution.{name} is known inside a job alone")
        value = self._variables[name]
        return value() if callable(value) else value

    def step_properties(self, name: str) -> Mapping[str, Any]:
        return self._runs[name].properties

    def property_file_uri(self, step: str, name: str) -> str:
        run = self._runs[step]
        file = run.step.property_files[name]
        for output in (run.properties.get("ProcessingOutputConfig") or {}).get("Outputs") or []:
            if output["OutputName"] == file["OutputName"]:
                return f"{output['S3Output']['S3Uri'].rstrip('/')}/{file['FilePath']}"
        raise Unresolved(f"the step {step} has no output {file['OutputName']}")

    def read_json(self, uri: str) -> Any:
        try:
            bucket, key = split(uri)
            return json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            raise Unresolved(f"{uri} can't be read: {error.response['Error'].get('Message', error)}") from error
        except (TransferError, ValueError) as error:
            raise Unresolved(f"{uri} can't be read: {error}") from error


def iso(moment: datetime) -> str:
    """A time as execution variables carry it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
