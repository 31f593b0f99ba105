"""How every step of every pipeline is built: private network, customer keys, retries, and code that is in the image.

A step runs `python -m <module>` of an image that is named by digest, so compiling uploads nothing and gives the same
bytes each time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep

ROLE_SHAPE = "arn:aws:iam::000000000000:role/lockstep-token-"
URI_SHAPE = "s3://lockstep-token-"
BASE = "/opt/ml/processing"
PROCESSING_SECONDS = 3600
RELEASE_SECONDS = 36000  # a rollout may take eight hours (MaximumExecutionTimeoutInSeconds), and its tests come after


def token(name: str) -> str:
    """What stands in the definition for a value of the environment."""
    return "${lockstep:" + name + "}"


def role_token(name: str) -> str:
    """A token for a role, in the shape of an ARN: the SDK would look any other text up in IAM. `restore_tokens` undoes it."""
    return f"{ROLE_SHAPE}{name}"


def uri_token(name: str) -> str:
    """A token for an S3 URI, in the shape of one: the SDK would upload any other text as a file. `restore_tokens` undoes it."""
    return f"{URI_SHAPE}{name}"


def restore_tokens(definition: str) -> str:
    """The compiled text with plain tokens where `role_token` and `uri_token` stood."""
    shapes = f"(?:{re.escape(ROLE_SHAPE)}|{re.escape(URI_SHAPE)})"
    return re.sub(shapes + r"(\w+)", lambda match: token(match.group(1)), definition)


def session() -> PipelineSession:
    """A session that only records: it has credentials of nobody and makes no call."""
    return PipelineSession(
        boto_session=boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1"),
        default_bucket="unused",
        sagemaker_config={"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}},
    )


def cache(expire_after: str = "P30D") -> CacheConfig:
    """Reuse of a step's outputs for the same image, arguments and inputs. `expire_after`: an ISO 8601 duration."""
    return CacheConfig(enable_caching=True, expire_after=expire_after)


def retries() -> list[Any]:
    """Faults of the service and lack of capacity are tried again; a failure of our own code is not."""
    return [
        StepRetryPolicy(
            exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
            interval_seconds=5,
            backoff_rate=2.0,
            max_attempts=5,
        ),
        SageMakerJobStepRetryPolicy(
            exception_types=[SageMakerJobExceptionTypeEnum.INTERNAL_ERROR, SageMakerJobExceptionTypeEnum.CAPACITY_ERROR],
            interval_seconds=30,
            backoff_rate=2.0,
            max_attempts=3,
        ),
    ]


def run_uri(step: str, output: str) -> Any:
    """Where one run of a step writes: a folder of its own under the artefacts bucket."""
    return Join(
        on="/",
        values=[token("artefacts_uri"), "runs", ExecutionVariables.PIPELINE_NAME, ExecutionVariables.PIPELINE_EXECUTION_ID, step, output],
    )


def output_uri(step: ProcessingStep, output: str) -> Any:
    """The S3 URI that a step's output really has, also when the step was answered from the cache."""
    return step.properties.ProcessingOutputConfig.Outputs[output].S3Output.S3Uri


def json_get(step: ProcessingStep, file: PropertyFile, path: str) -> Any:
    """A value of a JSON file that a step wrote."""
    return JsonGet(step_name=step.name, property_file=file, json_path=path)


def processing(
    name: str,
    *,
    module: str,
    image: Any,
    role: str,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    arguments: Sequence[Any] = (),
    isolated: bool,
    recorder: PipelineSession,
    property_files: Sequence[PropertyFile] = (),
    cached: bool = False,
    depends_on: Sequence[str] = (),
    retried: bool = True,
    max_runtime_seconds: int = PROCESSING_SECONDS,
) -> ProcessingStep:
    """A processing step that runs `python -m module` of `image`.

    Args:
        inputs: name -> S3 URI, found by the job under /opt/ml/processing/input/<name>/.
        outputs: names; what the job leaves under /opt/ml/processing/output/<name>/ goes to the run's folder.
        isolated: no network at all inside the container.
    """
    processor = Processor(
        role=role_token(role),
        image_uri=image,
        entrypoint=["python", "-m", module],
        instance_count=1,
        instance_type=token("processing_instance_type"),
        volume_size_in_gb=30,
        volume_kms_key=token("jobs_kms_key"),
        output_kms_key=token("artefacts_kms_key"),
        max_runtime_in_seconds=max_runtime_seconds,
        base_job_name=name.lower(),
        sagemaker_session=recorder,
        network_config=NetworkConfig(
            enable_network_isolation=isolated,
            security_group_ids=[token("jobs_security_group_ids")],
            subnets=[token("subnet_ids")],
            encrypt_inter_container_traffic=True,
        ),
    )
    arguments_of_step = processor.run(
        inputs=[
            ProcessingInput(
                input_name=each,
                s3_input=ProcessingS3Input(
                    s3_uri=uri,
                    local_path=f"{BASE}/input/{each}",
                    s3_data_type="S3Prefix",
                    s3_input_mode="File",
                    s3_data_distribution_type="FullyReplicated",
                    s3_compression_type="None",
                ),
            )
            for each, uri in inputs.items()
        ],
        outputs=[
            ProcessingOutput(
                output_name=each,
                s3_output=ProcessingS3Output(s3_uri=run_uri(name, each), local_path=f"{BASE}/output/{each}", s3_upload_mode="EndOfJob"),
            )
            for each in outputs
        ],
        arguments=list(arguments) or None,
    )
    return ProcessingStep(
        name=name,
        step_args=arguments_of_step,
        property_files=list(property_files) or None,
        cache_config=cache() if cached else None,
        depends_on=list(depends_on) or None,
        retry_policies=retries() if retried else None,
    )
