"""What a Create call of a job is refused for, beyond what its shape says."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import ClientError

from local.cloud.aws_errors import CloudError, not_implemented
from local.cloud.containers.images import ImageError, ImageReference
from local.cloud.containers.runtime import runtime_of
from local.cloud.context import Cloud
from local.cloud.jobs.transfer import split
from local.cloud.sagemaker.base import validation
from local.cloud.shape_checks import message, violations
from local.errors import RoleNotAssumable

PROCESSING_FOLDER = "/opt/ml/processing"


def check_shape(operation: str, request: dict[str, Any]) -> None:
    """ValidationException where the request does not fit the operation's input shape."""
    found = violations("sagemaker", operation, request)
    if found:
        raise validation(message(found))


def check_role(cloud: Cloud, account: str, role_arn: str) -> None:
    """A role can only be passed to a service within its own account, and must trust it."""
    if role_arn.split(":")[4] != account:
        raise CloudError("AccessDeniedException", "Cross-account pass role is not allowed.", 400)
    try:
        cloud.check_assumable(role_arn)
    except RoleNotAssumable as error:
        raise validation(error.message) from error


def check_training(request: dict[str, Any]) -> None:
    algorithm = request.get("AlgorithmSpecification")
    if not algorithm:
        raise not_implemented("sagemaker", "CreateTrainingJob without AlgorithmSpecification")
    if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
        raise validation("Exactly one of TrainingImage and AlgorithmName must be given in AlgorithmSpecification.")
    if algorithm.get("AlgorithmName"):
        raise not_implemented("sagemaker", "CreateTrainingJob with AlgorithmName")
    _check_image(algorithm["TrainingImage"])
    for entry in algorithm.get("MetricDefinitions") or []:
        try:
            re.compile(entry["Regex"])
        except re.error as error:
            raise validation(f"The regular expression of the metric {entry['Name']} is not valid: {error}.") from error
    if not request.get("ResourceConfig"):
        raise validation("ResourceConfig must be given.")
    if request["ResourceConfig"].get("InstanceCount", 1) > 1 or request["ResourceConfig"].get("InstanceGroups"):
        raise not_implemented("sagemaker", "CreateTrainingJob on several instances")
    if not request.get("StoppingCondition"):
        raise validation("StoppingCondition must be given.")
    if request.get("CheckpointConfig"):
        raise not_implemented("sagemaker", "CreateTrainingJob with CheckpointConfig")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig") or []]
    if len(set(names)) < len(names):
        raise validation("Channel names must be unique.")
    for channel in request.get("InputDataConfig") or []:
        source = channel["DataSource"].get("S3DataSource")
        mode = channel.get("InputMode") or algorithm["TrainingInputMode"]
        if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile") or mode == "Pipe":
            raise not_implemented("sagemaker", f"CreateTrainingJob with the data source or input mode of channel {channel['ChannelName']}")


def check_channels(cloud: Cloud, account: str, region: str, request: dict[str, Any]) -> None:
    """Training inputs are looked for, with the rights of the role, before the job is accepted; those of processing jobs are not."""
    role = request["RoleArn"]
    s3 = runtime_of(cloud).client("s3", account, region, role)
    for channel in request.get("InputDataConfig") or []:
        source = channel["DataSource"]["S3DataSource"]
        bucket, prefix = split(source["S3Uri"])
        try:
            found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"]
        except ClientError:
            found = 0
        if not found:
            raise validation(
                f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please ensure that the bucket exists in '
                f'the selected region ({region}), that objects exist under that S3 prefix, and that the role "{role}" has '
                f'"s3:ListBucket" permissions on bucket "{bucket}".'
            )


def check_processing(request: dict[str, Any]) -> None:
    _check_image(request["AppSpecification"]["ImageUri"])
    if request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] > 1:
        raise not_implemented("sagemaker", "CreateProcessingJob on several instances")
    outputs = (request.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    for kind, entries, name in (("S3Input", request.get("ProcessingInputs") or [], "InputName"), ("S3Output", outputs, "OutputName")):
        names = [entry[name] for entry in entries]
        if len(set(names)) < len(names):
            raise validation(f"Every {name} must be unique.")
        for entry in entries:
            place = entry.get(kind)
            if place is None or entry.get("AppManaged"):
                raise not_implemented("sagemaker", f"CreateProcessingJob with {entry[name]}, which is no {kind}")
            if not f"{place.get('LocalPath') or ''}/".startswith(PROCESSING_FOLDER + "/"):
                raise validation(f"LocalPath of {entry[name]} must begin with {PROCESSING_FOLDER}/.")
            if kind == "S3Input" and (place.get("S3InputMode") == "Pipe" or place["S3DataType"] not in ("S3Prefix", "ManifestFile")):
                raise not_implemented("sagemaker", f"CreateProcessingJob with the input mode or data type of {entry[name]}")


def _check_image(uri: str) -> None:
    try:
        ImageReference.parse(uri)
    except ImageError as error:
        raise validation(str(error)) from error
