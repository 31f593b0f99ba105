"""The training pipeline: validate -> prepare -> train -> evaluate beside the champion -> gates -> register, or refuse."""

from __future__ import annotations

from sagemaker.core.training.configs import Compute, InputData, Networking, OutputDataConfig, StoppingCondition
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train import ModelTrainer

from pipelines import baseline
from pipelines.definitions.judgement import evaluate, judgement
from pipelines.definitions.steps import cache, json_get, output_uri, processing, retries, role_token, token, uri_token


def _train(image: ParameterString, hyperparameters: ParameterString, prepare: ProcessingStep, recorder: PipelineSession) -> TrainingStep:
    trainer = ModelTrainer(
        training_image=image,
        role=role_token("role_jobs"),
        base_job_name="train",
        sagemaker_session=recorder,
        hyperparameters={"hyperparameters": hyperparameters},
        compute=Compute(
            instance_type=token("training_instance_type"), instance_count=1, volume_size_in_gb=30, volume_kms_key_id=token("jobs_kms_key")
        ),
        networking=Networking(
            subnets=[token("subnet_ids")],
            security_group_ids=[token("jobs_security_group_ids")],
            enable_network_isolation=True,
            enable_inter_container_traffic_encryption=True,
        ),
        output_data_config=OutputDataConfig(
            s3_output_path=Join(
                on="/",
                values=[
                    token("artefacts_uri"),
                    "runs",
                    ExecutionVariables.PIPELINE_NAME,
                    ExecutionVariables.PIPELINE_EXECUTION_ID,
                    "Train",
                ],
            ),
            kms_key_id=token("artefacts_kms_key"),
            compression_type="GZIP",
        ),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
        input_data_config=[
            InputData(channel_name=channel, data_source=output_uri(prepare, channel), content_type="text/csv")
            for channel in ("train", "test")
        ],
    )
    return TrainingStep(name="Train", step_args=trainer.train(), cache_config=cache(), retry_policies=retries())


def build(recorder: PipelineSession) -> Pipeline:
    """The pipeline with its parameters; image and data are execution parameters, by digest."""
    image = ParameterString(name="ImageUri")
    data_uri = ParameterString(name="DataUri")
    data_version = ParameterString(name="DataVersion")
    baseline_version = ParameterString(name="BaselineVersion")
    golden_uri = ParameterString(name="GoldenUri")
    golden_sha256 = ParameterString(name="GoldenSha256")
    hyperparameters = ParameterString(name="Hyperparameters", default_value="{}")
    requested_by = ParameterString(name="RequestedBy")

    validate = processing(
        "Validate",
        module="pipelines.jobs.validate",
        image=image,
        role="role_jobs",
        inputs={"data": data_uri, "environment": uri_token("outputs_uri")},
        outputs=["report"],
        arguments=[
            "--data-version",
            data_version,
            "--baseline-uri",
            f"{token('artefacts_uri')}/{baseline.key(token('workload'))}",
            # Part of the cache's key: a verdict against one baseline is none against another.
            "--baseline-version",
            baseline_version,
        ],
        isolated=False,  # it reads the last accepted baseline, which may not exist: an input that is missing would fail the job
        cached=True,
        recorder=recorder,
    )
    prepare = processing(
        "Prepare",
        module="pipelines.jobs.prepare",
        image=image,
        role="role_jobs",
        inputs={"data": data_uri, "golden": golden_uri},
        outputs=["train", "test"],
        # Part of the cache's key, as the URIs are: overwritten data is other data.
        arguments=["--data-version", data_version, "--golden-sha256", golden_sha256],
        isolated=True,
        cached=True,
        depends_on=["Validate"],
        recorder=recorder,
    )
    train = _train(image, hyperparameters, prepare, recorder)
    model_uri = train.properties.ModelArtifacts.S3ModelArtifacts
    candidate = evaluate(
        "Evaluate", subject="candidate", image=image, model_uri=model_uri, golden_uri=golden_uri, champion_uri=None, recorder=recorder
    )
    champion_file = PropertyFile(name="ChampionRecord", output_name="champion", path="champion.json")
    champion = processing(
        "Champion",
        module="pipelines.jobs.champion",
        image=token("toolkit_image"),
        role="role_jobs",
        inputs={"environment": uri_token("outputs_uri")},
        outputs=["champion"],
        arguments=["--candidate-image", image, "--candidate-model-uri", model_uri],
        isolated=False,
        property_files=[champion_file],
        recorder=recorder,
    )
    evaluate_champion = evaluate(
        "EvaluateChampion",
        subject="champion",
        image=json_get(champion, champion_file, "image"),
        model_uri=json_get(champion, champion_file, "model_uri"),
        golden_uri=golden_uri,
        champion_uri=output_uri(champion, "champion"),
        recorder=recorder,
    )
    end = judgement(
        candidate=candidate,
        champion=evaluate_champion,
        champion_uri=output_uri(champion, "champion"),
        role="role_jobs",
        record_uri=None,
        arguments=[
            "--model-uri",
            model_uri,
            "--image",
            image,
            "--data-version",
            data_version,
            "--golden-sha256",
            golden_sha256,
            "--report-uri",
            output_uri(validate, "report"),
            "--requested-by",
            requested_by,
            "--execution-arn",
            ExecutionVariables.PIPELINE_EXECUTION_ARN,
        ],
        recorder=recorder,
    )
    return Pipeline(
        name="training",
        parameters=[image, data_uri, data_version, baseline_version, golden_uri, golden_sha256, hyperparameters, requested_by],
        pipeline_experiment_config=None,
        steps=[validate, prepare, train, candidate, champion, evaluate_champion, *end],
        sagemaker_session=recorder,
    )
