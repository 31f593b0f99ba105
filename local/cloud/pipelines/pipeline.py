"""A pipeline as it is kept, and the parameters that an execution of it is started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.cloud.pipelines.caching import StepCache
from local.cloud.pipelines.definition import Definition, Parameter
from local.cloud.pipelines.execution import Execution
from local.cloud.sagemaker.base import validation


@dataclass
class Pipeline:
    """A pipeline and its executions by ARN; `request` created it; `tokens` maps a ClientRequestToken to what it asked for and got."""

    name: str
    arn: str
    display_name: str
    definition_text: str
    definition: Definition
    role_arn: str
    description: str | None
    parallelism: dict[str, int] | None
    tags: list[dict[str, str]]
    created: datetime
    modified: datetime
    created_by: Mapping[str, Any]
    request: Mapping[str, Any]
    last_run: datetime | None = None
    executions: dict[str, Execution] = field(default_factory=dict)
    tokens: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    cache: StepCache = field(default_factory=StepCache)

    def describe(self) -> dict[str, Any]:
        """The answer of DescribePipeline."""
        answer = {
            "PipelineArn": self.arn,
            "PipelineName": self.name,
            "PipelineDisplayName": self.display_name,
            "PipelineDefinition": self.definition_text,
            "PipelineDescription": self.description,
            "RoleArn": self.role_arn,
            "PipelineStatus": "Active",
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "LastRunTime": self.last_run,
            "CreatedBy": self.created_by,
            "LastModifiedBy": self.created_by,
            "ParallelismConfiguration": self.parallelism,
        }
        return {name: value for name, value in answer.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The pipeline as ListPipelines shows it."""
        kept = ("PipelineArn", "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn", "CreationTime", "LastModifiedTime")
        described = self.describe()
        answer = {name: described[name] for name in kept if name in described}
        return answer | ({"LastExecutionTime": self.last_run} if self.last_run else {})


def parameter_values(declared: Mapping[str, Parameter], given: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Every parameter with its typed value; ValidationException for one that is unknown, missing or of the wrong type."""
    texts: dict[str, str] = {}
    for entry in given:
        if entry["Name"] in texts:
            raise validation(f"The pipeline parameter {entry['Name']} is given twice.")
        texts[entry["Name"]] = entry["Value"]
    unknown = sorted(set(texts) - set(declared))
    if unknown:
        raise validation(f"Unknown pipeline parameters: {', '.join(unknown)}. The pipeline has {', '.join(sorted(declared)) or 'none'}.")
    missing = sorted(name for name, parameter in declared.items() if name not in texts and parameter.default is None)
    if missing:
        raise validation(f"Pipeline parameters without a value: {', '.join(missing)}. They have no default.")
    return {name: _typed(parameter, texts[name]) if name in texts else parameter.default for name, parameter in declared.items()}


def _typed(parameter: Parameter, text: str) -> Any:
    try:
        value = _convert(parameter.type, text)
    except ValueError as error:
        raise validation(f"The value {text!r} of the pipeline parameter {parameter.name} is no {parameter.type}.") from error
    if parameter.allowed and value not in parameter.allowed:
        choice = ", ".join(map(str, parameter.allowed))
        raise validation(f"The value {text!r} of the pipeline parameter {parameter.name} is none of {choice}.")
    return value


def _convert(kind: str, text: str) -> Any:
    if kind == "Integer":
        return int(text)
    if kind == "Float":
        return float(text)
    if kind == "Boolean":
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    return text
