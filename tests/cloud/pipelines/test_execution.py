"""Executions of pipelines: what flows between steps, what decides their order, how they end."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.sagemaker.backend import backends

ACCOUNT, REGION = "111111111111", "us-east-1"
HANG = "print('up', flush=True)\nimport time\nwhile True: time.sleep(60)"
OUT = "import os, pathlib, sys, json; out = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'processing/output/o')\n"


@pytest.fixture(scope="module")
def image(lab: Any) -> str:
    train = (
        "#!/usr/bin/env python\nimport json, os, pathlib\nbase = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'])\n"
        "hps = json.loads((base / 'input/config/hyperparameters.json').read_text())\n"
        "print('score=' + hps['score'])\n(base / 'model/model.txt').write_text((base / 'input/data/train/x.json').read_text())\n"
    )
    uri: str = lab.image({"bin/train": train})
    return uri


def step(name: str, image: Any, code: str, arguments: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A processing step that runs `code` and takes its folder `o` out to S3, under the execution's id."""
    uri = {"Std:Join": {"On": "/", "Values": ["s3://lab/runs", {"Get": "Execution.PipelineExecutionId"}, name]}}
    inputs = more.pop("inputs", {})
    specification: dict[str, Any] = {"ImageUri": image, "ContainerEntrypoint": ["python", "-c", f"exec({code!r})"]}
    if arguments:
        specification["ContainerArguments"] = arguments
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/jobs",
            "AppSpecification": specification,
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
            "ProcessingInputs": [
                {"InputName": n, "S3Input": {"S3Uri": u, "LocalPath": f"/opt/ml/processing/input/{n}", "S3DataType": "S3Prefix"}}
                for n, u in inputs.items()
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "o",
                        "S3Output": {"S3Uri": uri, "LocalPath": "/opt/ml/processing/output/o", "S3UploadMode": "EndOfJob"},
                    }
                ]
            },
        },
        **more,
    }


def fail(name: str, message: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def definition(*steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters or [], "Steps": list(steps)})


def create(lab: Any, *steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
    name = f"p-{uuid.uuid4().hex[:8]}"
    lab.sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=definition(*steps, parameters=parameters), RoleArn=lab.role)
    return name


def start(lab: Any, pipeline: str, **parameters: str) -> str:
    given = [{"Name": name, "Value": value} for name, value in parameters.items()]
    arn: str = lab.sagemaker.start_pipeline_execution(PipelineName=pipeline, PipelineParameters=given)["PipelineExecutionArn"]
    return arn


def ended(lab: Any, arn: str) -> dict[str, Any]:
    assert backends[ACCOUNT][REGION].execution(arn).done.wait(60)
    answer: dict[str, Any] = lab.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    return answer


def steps_of(lab: Any, arn: str) -> dict[str, dict[str, Any]]:
    """The steps by name, in the order in which they began."""
    answer = lab.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending", MaxResults=100)
    return {item["StepName"]: item for item in answer["PipelineExecutionSteps"]}


def when_up(lab: Any, arn: str, name: str) -> None:
    """Wait until the processing step's job has printed `up`."""
    execution = backends[ACCOUNT][REGION].execution(arn)
    begun = threading.Event()

    def look() -> bool:
        metadata = execution.runs[name].metadata
        if not metadata:
            return False
        job = lab.job("Processing", metadata["ProcessingJob"]["Arn"].rsplit("/", 1)[-1])
        stream = lab.cloud.home / "logs" / ACCOUNT / "aws/sagemaker/ProcessingJobs" / job.name
        return any("up" in path.read_text() for path in stream.glob("*.log"))

    for _ in range(3000):
        if look():
            return
        begun.wait(0.01)
    raise AssertionError(f"the step {name} has not begun")


class TestFlow:
    def test_values_flow_from_parameters_through_steps_to_the_end(self, lab: Any, image: str) -> None:
        lab.put("flow/x.json", '{"x": 1}')
        first = step(
            "First",
            {"Get": "Parameters.Image"},
            OUT + "(out / 'x.json').write_text(sys.argv[1]); (out / 'report.json').write_text(json.dumps({'deep': [{'value': 0.75}]}))",
            [{"Std:Join": {"On": "-", "Values": ["n", {"Get": "Parameters.Count"}, True]}}],
            PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "o", "FilePath": "report.json"}],
        )
        train = {
            "Name": "Train",
            "Type": "Training",
            "Arguments": {
                "RoleArn": lab.role,
                "AlgorithmSpecification": {
                    "TrainingImage": {"Get": "Parameters.Image"},
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
                },
                "HyperParameters": {
                    "score": {"Std:Join": {"On": "", "Values": [{"Std:JsonGet": json_get("First", "Report", "deep[0].value")}]}}
                },
                "InputDataConfig": [
                    {
                        "ChannelName": "train",
                        "DataSource": {
                            "S3DataSource": {
                                "S3DataType": "S3Prefix",
                                "S3Uri": {"Get": "Steps.First.ProcessingOutputConfig.Outputs['o'].S3Output.S3Uri"},
                            }
                        },
                    }
                ],
                "OutputDataConfig": {"S3OutputPath": "s3://lab/models"},
                "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
        }
        last = step(
            "Last",
            image,
            OUT + "(out / 'args').write_text(json.dumps(sys.argv[1:]))",
            [
                {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
                {"Std:Join": {"On": "", "Values": [{"Get": "Steps.Train.FinalMetricDataList['score'].Value"}]}},
                {"Get": "Execution.PipelineName"},
            ],
        )
        pipeline = create(
            lab,
            last,
            train,
            first,
            parameters=[{"Name": "Image", "Type": "String"}, {"Name": "Count", "Type": "Integer", "DefaultValue": 7}],
        )
        arn = start(lab, pipeline, Image=image)
        assert ended(lab, arn)["PipelineExecutionStatus"] == "Succeeded"
        steps = steps_of(lab, arn)
        assert list(steps) == ["First", "Train", "Last"]
        assert {item["StepStatus"] for item in steps.values()} == {"Succeeded"}
        execution_id = arn.rsplit("/", 1)[-1]
        job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[-1]
        assert job.startswith(f"pipelines-{execution_id}-Train-")
        artefact, score, name = json.loads(lab.get(f"s3://lab/runs/{execution_id}/Last/args"))
        assert artefact == f"s3://lab/models/{job}/output/model.tar.gz"
        assert (score, name) == ("0.75", pipeline)
        assert lab.get(f"s3://lab/runs/{execution_id}/First/x.json") == b"n-7-true"

    @pytest.mark.parametrize(("passed", "status"), [(True, "Succeeded"), (False, "Failed")])
    def test_a_condition_chooses_its_branch(self, lab: Any, image: str, passed: bool, status: str) -> None:
        gates = step(
            "Gates",
            image,
            OUT + f"(out / 'gates.json').write_text(json.dumps({{'passed': {passed}, 'why': 'auc by 0.02'}}))",
            PropertyFiles=[{"PropertyFileName": "Gates", "OutputName": "o", "FilePath": "gates.json"}],
        )
        why = {"Std:Join": {"On": " ", "Values": ["refused:", {"Std:JsonGet": json_get("Gates", "Gates", "why")}]}}
        choose = {
            "Name": "Passed",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [{"Type": "Equals", "LeftValue": {"Std:JsonGet": json_get("Gates", "Gates", "passed")}, "RightValue": True}],
                "IfSteps": [step("Register", image, "print('registered')")],
                "ElseSteps": [fail("Refused", why)],
            },
        }
        arn = start(lab, create(lab, gates, choose))
        described = ended(lab, arn)
        assert described["PipelineExecutionStatus"] == status
        steps = steps_of(lab, arn)
        assert steps["Passed"]["Metadata"]["Condition"]["Outcome"] == str(passed)
        assert ("Register" in steps) is passed
        if not passed:
            assert described["FailureReason"] == "refused: auc by 0.02"
            assert steps["Refused"]["Metadata"]["Fail"]["ErrorMessage"] == "refused: auc by 0.02"

    def test_independent_steps_run_at_once_and_no_more_than_allowed(self, lab: Any, image: str) -> None:
        steps = [step(name, image, "print(1)") for name in "ABC"]
        pipeline = create(lab, *steps)
        serial = lab.sagemaker.start_pipeline_execution(PipelineName=pipeline, ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
        arn = serial["PipelineExecutionArn"]
        assert ended(lab, arn)["PipelineExecutionStatus"] == "Succeeded"
        spans = sorted((item["StartTime"], item["EndTime"]) for item in steps_of(lab, arn).values())
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


class TestFailure:
    def test_a_failed_step_fails_the_execution_and_nothing_after_it_runs(self, lab: Any, image: str) -> None:
        arn = start(lab, create(lab, step("Bad", image, "raise SystemExit(4)"), step("Next", image, "print(1)", DependsOn=["Bad"])))
        described = ended(lab, arn)
        assert described["PipelineExecutionStatus"] == "Failed"
        assert described["FailureReason"] == "Step failure: One or multiple steps failed."
        steps = steps_of(lab, arn)
        assert list(steps) == ["Bad"]
        assert steps["Bad"]["FailureReason"].endswith("exit code: 4")

    def test_a_step_can_wait_for_a_failure(self, lab: Any, image: str) -> None:
        cleanup = step("Cleanup", image, "print(1)", DependsOn=[{"Step": "Bad", "Trigger": "Failed"}])
        arn = start(lab, create(lab, step("Bad", image, "raise SystemExit(4)"), cleanup))
        assert ended(lab, arn)["PipelineExecutionStatus"] == "CompletedWithFailures"
        assert steps_of(lab, arn)["Cleanup"]["StepStatus"] == "Succeeded"

    def test_a_property_that_is_not_there_fails_the_step_with_its_path(self, lab: Any, image: str) -> None:
        second = step("Second", image, "print(1)", [{"Get": "Steps.First.ProcessingOutputConfig.Outputs['nope'].S3Output.S3Uri"}])
        arn = start(lab, create(lab, step("First", image, "print(1)"), second))
        ended(lab, arn)
        assert "Outputs['nope']" in steps_of(lab, arn)["Second"]["FailureReason"]

    def test_a_refused_call_is_the_reason_of_the_step(self, lab: Any, image: str) -> None:
        bad = step("Bad", image, "print(1)")
        bad["Arguments"]["RoleArn"] = f"arn:aws:iam::{ACCOUNT}:role/nobody"
        arn = start(lab, create(lab, bad))
        ended(lab, arn)
        assert "Failed to invoke sagemaker:CreateProcessingJob" in steps_of(lab, arn)["Bad"]["FailureReason"]

    def test_a_throttled_step_is_tried_again_on_the_clouds_clock(self, lab: Any, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from local.cloud.aws_errors import CloudError

        backend = backends[ACCOUNT][REGION]
        submit, refused = backend.submit_processing_job, []

        def throttle_twice(request: dict[str, Any]) -> Any:
            if len(refused) < 6:  # three calls of boto3 for each attempt
                refused.append(request)
                raise CloudError("ThrottlingException", "Rate exceeded", 400)
            return submit(request)

        monkeypatch.setattr(backend, "submit_processing_job", throttle_twice)
        policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 100, "BackoffRate": 2.0, "MaxAttempts": 3}
        arn = start(lab, create(lab, step("Retried", image, "print(1)", RetryPolicies=[policy])))
        assert ended(lab, arn)["PipelineExecutionStatus"] == "Succeeded"
        retried = steps_of(lab, arn)["Retried"]
        assert retried["AttemptCount"] > 1
        assert (retried["EndTime"] - retried["StartTime"]).total_seconds() >= 100

    def test_stop_ends_running_steps_and_starts_no_more(self, lab: Any, image: str) -> None:
        arn = start(lab, create(lab, step("Long", image, HANG), step("Next", image, "print(1)", DependsOn=["Long"])))
        when_up(lab, arn, "Long")
        lab.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
        assert ended(lab, arn)["PipelineExecutionStatus"] == "Stopped"
        steps = steps_of(lab, arn)
        assert {name: item["StepStatus"] for name, item in steps.items()} == {"Long": "Stopped"}
        with pytest.raises(ClientError, match="is in status Stopped"):
            lab.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)

    def test_a_retry_keeps_what_succeeded(self, lab: Any, image: str) -> None:
        code = (
            "import os, urllib.request, pathlib\n"
            "mark = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'processing/input/mark/mark').read_text()\n"
            "raise SystemExit(0 if mark == 'good' else 1)"
        )
        mark = lab.put("retry/mark", "bad")
        arn = start(
            lab, create(lab, step("First", image, "print(1)"), step("Second", image, code, DependsOn=["First"], inputs={"mark": mark}))
        )
        assert ended(lab, arn)["PipelineExecutionStatus"] == "Failed"
        first = steps_of(lab, arn)["First"]["Metadata"]
        lab.put("retry/mark", "good")
        lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
        assert ended(lab, arn)["PipelineExecutionStatus"] == "Succeeded"
        assert steps_of(lab, arn)["First"]["Metadata"] == first


class TestCache:
    def test_the_same_arguments_are_answered_by_the_earlier_run_until_it_expires(self, lab: Any, image: str) -> None:
        cached = step(
            "Cached", image, "print(1)", CacheConfig={"Enabled": True, "ExpireAfter": "PT1H"}, inputs={"i": lab.put("cache/x", "1")}
        )
        pipeline = create(lab, cached)
        arns = []
        for _ in range(2):
            arns.append(start(lab, pipeline))
            ended(lab, arns[-1])
        first, second = (steps_of(lab, arn)["Cached"] for arn in arns)
        assert "CacheHitResult" not in first
        assert second["CacheHitResult"]["SourcePipelineExecutionArn"] == arns[0]
        assert second["Metadata"] == first["Metadata"]
        lab.cloud.clock.set(advance=3601)
        third = start(lab, pipeline)
        ended(lab, third)
        assert "CacheHitResult" not in steps_of(lab, third)["Cached"]

    def test_other_arguments_are_not(self, lab: Any, image: str) -> None:
        cached = step("Cached", image, "print(1)", [{"Get": "Parameters.X"}], CacheConfig={"Enabled": True, "ExpireAfter": "P30D"})
        pipeline = create(lab, cached, parameters=[{"Name": "X", "Type": "String"}])
        for value in ("a", "b"):
            arn = start(lab, pipeline, X=value)
            ended(lab, arn)
            assert "CacheHitResult" not in steps_of(lab, arn)["Cached"]


class TestStarting:
    def test_a_client_request_token_starts_one_execution(self, lab: Any, image: str) -> None:
        pipeline, token = create(lab, step("S", image, "print(1)")), uuid.uuid4().hex
        first = lab.sagemaker.start_pipeline_execution(PipelineName=pipeline, ClientRequestToken=token)["PipelineExecutionArn"]
        again = lab.sagemaker.start_pipeline_execution(PipelineName=pipeline, ClientRequestToken=token)["PipelineExecutionArn"]
        assert first == again
        assert len(lab.sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]) == 1
        with pytest.raises(ClientError, match="was used for another request"):
            lab.sagemaker.start_pipeline_execution(PipelineName=pipeline, ClientRequestToken=token, PipelineExecutionDisplayName="other")
        ended(lab, first)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({}, "Pipeline parameters without a value: Needed"),
            ({"Needed": "x", "Other": "1"}, "Unknown pipeline parameters: Other"),
            ({"Needed": "x", "Number": "many"}, "'many' of the pipeline parameter Number is no Integer"),
            ({"Needed": "x", "Choice": "c"}, "is none of a, b"),
        ],
    )
    def test_wrong_parameters_are_refused(self, lab: Any, image: str, given: dict[str, str], message: str) -> None:
        parameters = [
            {"Name": "Needed", "Type": "String"},
            {"Name": "Number", "Type": "Integer", "DefaultValue": 1},
            {"Name": "Choice", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
        ]
        pipeline = create(lab, step("S", image, "print(1)"), parameters=parameters)
        with pytest.raises(ClientError, match=message) as raised:
            start(lab, pipeline, **given)
        assert raised.value.response["Error"]["Code"] == "ValidationException"
        assert not lab.sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]

    def test_an_execution_keeps_the_definition_that_it_was_started_with(self, lab: Any, image: str) -> None:
        pipeline = create(lab, step("Old", image, "print(1)"), parameters=[{"Name": "P", "Type": "String", "DefaultValue": "d"}])
        arn = start(lab, pipeline, P="given")
        ended(lab, arn)
        lab.sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinition=definition(step("New", image, "print(1)")))
        kept = lab.sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"]
        assert json.loads(kept)["Steps"][0]["Name"] == "Old"
        shown = lab.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
        assert shown == [{"Name": "P", "Value": "given"}]


def test_a_pipeline_that_is_created_again_by_the_same_call_is_the_one_that_is_there(lab: Any) -> None:
    token = uuid.uuid4().hex
    request = {"PipelineName": "again", "PipelineDefinition": definition(fail("F", "x")), "RoleArn": lab.role, "ClientRequestToken": token}
    arn = lab.sagemaker.create_pipeline(**request)["PipelineArn"]
    assert lab.sagemaker.create_pipeline(**request)["PipelineArn"] == arn
    for change in ({"PipelineDescription": "another"}, {"ClientRequestToken": uuid.uuid4().hex}):
        with pytest.raises(ClientError, match=r"Pipeline with name \(again\) already exists"):
            lab.sagemaker.create_pipeline(**(request | change))


def json_get(name: str, file: str, path: str) -> dict[str, Any]:
    return {"PropertyFile": {"Get": f"Steps.{name}.PropertyFiles.{file}"}, "Path": path}
