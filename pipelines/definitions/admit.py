"""The admit pipeline, in the target environment: verify and copy -> judge on the target's golden data -> register, or refuse."""

from __future__ import annotations

from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.pipeline import Pipeline

from pipelines.definitions.judgement import evaluate, judgement
from pipelines.definitions.steps import json_get, output_uri, processing, token, uri_token


def build(recorder: PipelineSession) -> Pipeline:
    """The pipeline with its parameters; `PromotionId` names the promotion that it is a part of."""
    promotion_id = ParameterString(name="PromotionId")
    source_package = ParameterString(name="SourceModelPackageArn")
    source_image = ParameterString(name="SourceImageUri")
    image = ParameterString(name="ImageUri")
    golden_uri = ParameterString(name="GoldenUri")
    golden_sha256 = ParameterString(name="GoldenSha256")
    requested_by = ParameterString(name="RequestedBy")

    candidate_file = PropertyFile(name="CandidateRecord", output_name="candidate", path="candidate.json")
    champion_file = PropertyFile(name="ChampionRecord", output_name="champion", path="champion.json")
    verify = processing(
        "Verify",
        module="pipelines.promotion.verify",
        image=token("toolkit_image"),
        role="role_promotion",
        inputs={"environment": uri_token("outputs_uri")},
        outputs=["candidate", "champion"],
        arguments=[
            "--promotion-id",
            promotion_id,
            "--source-model-package-arn",
            source_package,
            "--source-image-uri",
            source_image,
            "--image-uri",
            image,
            "--golden-uri",
            golden_uri,
            "--golden-sha256",
            golden_sha256,
            "--requested-by",
            requested_by,
            "--execution-arn",
            ExecutionVariables.PIPELINE_EXECUTION_ARN,
        ],
        isolated=False,
        property_files=[candidate_file, champion_file],
        recorder=recorder,
    )
    candidate = evaluate(
        "Evaluate",
        subject="candidate",
        image=image,
        model_uri=json_get(verify, candidate_file, "model_uri"),
        golden_uri=golden_uri,
        champion_uri=None,
        recorder=recorder,
    )
    evaluate_champion = evaluate(
        "EvaluateChampion",
        subject="champion",
        image=json_get(verify, champion_file, "image"),
        model_uri=json_get(verify, champion_file, "model_uri"),
        golden_uri=golden_uri,
        champion_uri=output_uri(verify, "champion"),
        recorder=recorder,
    )
    end = judgement(
        candidate=candidate,
        champion=evaluate_champion,
        champion_uri=output_uri(verify, "champion"),
        role="role_promotion",
        record_uri=output_uri(verify, "candidate"),
        arguments=[
            "--promotion-id",
            promotion_id,
            "--image",
            image,
            "--golden-sha256",
            golden_sha256,
            "--requested-by",
            requested_by,
            "--execution-arn",
            ExecutionVariables.PIPELINE_EXECUTION_ARN,
        ],
        asked=[
            "--promotion-id",
            promotion_id,
            "--requested-by",
            requested_by,
            "--execution-arn",
            ExecutionVariables.PIPELINE_EXECUTION_ARN,
        ],
        recorder=recorder,
    )
    return Pipeline(
        name="admit",
        parameters=[promotion_id, source_package, source_image, image, golden_uri, golden_sha256, requested_by],
        pipeline_experiment_config=None,
        steps=[verify, candidate, evaluate_champion, *end],
        sagemaker_session=recorder,
    )
