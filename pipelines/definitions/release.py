"""The release pipeline: one step that moves traffic to an approved model package, under the promotion role."""

from __future__ import annotations

from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.pipeline import Pipeline

from pipelines.definitions.steps import RELEASE_SECONDS, processing, token, uri_token


def build(recorder: PipelineSession) -> Pipeline:
    """The pipeline with its parameters. Its step is not retried by the service: a new run resumes from the journal."""
    package = ParameterString(name="ModelPackageArn", default_value="")
    operation = ParameterString(name="Operation", default_value="release")
    requested_by = ParameterString(name="RequestedBy", default_value="")
    release = processing(
        "Release",
        module="pipelines.promotion.release",
        image=token("toolkit_image"),
        role="role_promotion",
        inputs={"environment": uri_token("outputs_uri")},
        outputs=["release"],
        arguments=[
            "--model-package-arn",
            package,
            "--operation",
            operation,
            "--requested-by",
            requested_by,
            "--execution-arn",
            ExecutionVariables.PIPELINE_EXECUTION_ARN,
        ],
        isolated=False,
        retried=False,
        max_runtime_seconds=RELEASE_SECONDS,
        recorder=recorder,
    )
    return Pipeline(
        name="release",
        parameters=[package, operation, requested_by],
        pipeline_experiment_config=None,
        steps=[release],
        sagemaker_session=recorder,
    )
