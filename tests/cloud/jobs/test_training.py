"""Training jobs: channels, hyperparameters, the model archive, metrics, statuses and events."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import threading
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

TRAIN = """#!/usr/bin/env python
import json, os, pathlib, sys
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
config = base / "input" / "config"
hps = json.loads((config / "hyperparameters.json").read_text())
for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
    print(json.dumps(json.loads((config / f"{name}.json").read_text())))
print("epoch 1 auc=0.5"); print("epoch 2 auc=0.75 loss=abc")
(base / "model" / "deep").mkdir()
(base / "model" / "deep" / "weights").write_text("w")
(base / "output" / "data" / "plot.txt").write_text("p")
if "fail" in hps:
    (base / "output" / "failure").write_text("the data is bad" + "!" * 2000)
    sys.exit(2)
"""


@pytest.fixture(scope="module")
def image(lab: Any) -> str:
    uri: str = lab.image({"bin/train": TRAIN})
    return uri


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return [entry.name for entry in opened if entry.isfile()]


def test_a_job_trains_and_leaves_model_metrics_and_history(lab: Any, image: str) -> None:
    request = lab.training("good", image, HyperParameters={"depth": "3"}, InputDataConfig=[channel("train", lab.put("tr/a.csv", "1"))])
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "auc", "Regex": "auc=([0-9.]+)"},
        {"Name": "loss", "Regex": "loss=(.*)"},
    ]
    described = lab.run_training(request)
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Completed", "Completed")
    uri = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == "s3://lab/models/good/output/model.tar.gz"
    assert names(lab.get(uri)) == ["deep/weights"]
    assert names(lab.get("s3://lab/models/good/output/output.tar.gz")) == ["plot.txt"]
    assert [(metric["MetricName"], metric["Value"]) for metric in described["FinalMetricDataList"]] == [("auc", 0.75)]
    history = described["SecondaryStatusTransitions"]
    assert [entry["Status"] for entry in history] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(before["EndTime"] == after["StartTime"] for before, after in itertools.pairwise(history))
    hyperparameters, channels, resources = map(json.loads, lab.log_lines("Training", "good")[:3])
    assert hyperparameters == {"depth": "3"}
    assert channels["train"] == {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
        "ContentType": "text/csv",
    }
    assert (resources["current_host"], resources["network_interface_name"]) == ("algo-1", "eth0")


def test_the_same_training_gives_the_same_archive(lab: Any, image: str) -> None:
    archives = [lab.get(lab.run_training(lab.training(name, image))["ModelArtifacts"]["S3ModelArtifacts"]) for name in ("twin-a", "twin-b")]
    assert archives[0] == archives[1]


def test_a_failure_file_becomes_the_failure_reason_and_no_model_is_left(lab: Any, image: str) -> None:
    described = lab.run_training(lab.training("bad", image, HyperParameters={"fail": "1"}))
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("AlgorithmError: the data is bad!")
    assert described["FailureReason"].endswith("!, exit code: 2")
    assert len(described["FailureReason"]) == len("AlgorithmError: , exit code: 2") + 1024
    assert "ModelArtifacts" not in described
    assert lab.keys("models/bad/") == ["models/bad/output/output.tar.gz"]


def test_a_job_that_overruns_keeps_what_it_had_learnt(lab: Any) -> None:
    hang = (
        "#!/usr/bin/env python\nimport os, time, pathlib\n"
        "pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'model/m').write_text('m')\ntime.sleep(600)"
    )
    request = lab.training("slow", lab.image({"bin/train": hang}), StoppingCondition={"MaxRuntimeInSeconds": 1})
    described = lab.run_training(request)
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert names(lab.get(described["ModelArtifacts"]["S3ModelArtifacts"])) == ["m"]


def test_an_uncompressed_model_is_a_folder(lab: Any, image: str) -> None:
    request = lab.training("plain", image)
    request["OutputDataConfig"]["CompressionType"] = "NONE"
    described = lab.run_training(request)
    assert described["ModelArtifacts"]["S3ModelArtifacts"] == "s3://lab/models/plain/output/model/"
    assert lab.keys("models/plain/output/model/") == ["models/plain/output/model/deep/weights"]


def test_no_more_than_four_jobs_run_at_once_and_a_waiting_one_can_be_stopped(lab: Any) -> None:
    waiter = "#!/usr/bin/env python\nimport time\nprint('up', flush=True)\ntime.sleep(600)"
    image = lab.image({"bin/train": waiter})
    running = [f"crowd-{i}" for i in range(4)]
    ups = []
    for name in running:
        lab.sagemaker.create_training_job(**lab.training(name, image))
        seen = threading.Event()
        lab.job("Training", name).saw_line = lambda _, seen=seen: seen.set()
        ups.append((name, seen))
    for name, seen in ups:
        stored = lab.job("Training", name)
        assert seen.wait(90) or stored.process is not None
    lab.sagemaker.create_training_job(**lab.training("crowd-late", image))
    late = lab.sagemaker.describe_training_job(TrainingJobName="crowd-late")
    assert (late["TrainingJobStatus"], late["SecondaryStatus"]) == ("InProgress", "Starting")
    lab.sagemaker.stop_training_job(TrainingJobName="crowd-late")
    assert lab.ended("Training", "crowd-late")["TrainingJobStatus"] == "Stopped"
    assert lab.job("Training", "crowd-late").process is None
    for name in running:
        lab.sagemaker.stop_training_job(TrainingJobName=name)
    for name in running:
        assert lab.ended("Training", name)["TrainingJobStatus"] == "Stopped"


def test_every_status_is_an_event(lab: Any, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    put = lab.cloud.events.put

    def watch(account: str, region: str, source: str, kind: str, detail: dict[str, Any], resources: Any = None) -> None:
        if kind == "SageMaker Training Job State Change":
            seen.append(json.loads(json.dumps(detail)))
        put(account, region, source, kind, detail, resources)

    monkeypatch.setattr(lab.cloud.events, "put", watch)
    lab.run_training(lab.training("told", image, Tags=[{"Key": "team", "Value": "risk"}]))
    assert [event["SecondaryStatus"] for event in seen] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert seen[-1]["Tags"] == {"team": "risk"}
    assert seen[-1]["TrainingEndTime"] > 1_500_000_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "Exactly one of TrainingImage and AlgorithmName"),
        ({"HyperParameters": {"x": "v" * 3000}}, "Member must have length less than or equal to 2500"),
        ({"ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.nope", "VolumeSizeInGB": 1}}, "Member must satisfy enum value set"),
        ({"InputDataConfig": [channel("a", "s3://lab/x"), channel("a", "s3://lab/x")]}, "Channel names must be unique"),
    ],
)
def test_a_wrong_request_is_refused(lab: Any, image: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        lab.sagemaker.create_training_job(**(lab.training("wrong", image) | change))
    with pytest.raises(ClientError, match=r"Requested resource not found\."):
        lab.sagemaker.describe_training_job(TrainingJobName="wrong")


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DescribeTransformJob", {"TransformJobName": "t"}),
        ("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": "t"}),
        (
            "CreateHyperParameterTuningJob",
            {
                "HyperParameterTuningJobName": "t",
                "HyperParameterTuningJobConfig": {"Strategy": "Random", "ResourceLimits": {"MaxParallelTrainingJobs": 1}},
            },
        ),
        (
            "CreateAutoMLJob",
            {
                "AutoMLJobName": "t",
                "InputDataConfig": [{"TargetAttributeName": "y"}],
                "OutputDataConfig": {"S3OutputPath": "s3://lab/x"},
                "RoleArn": "arn:aws:iam::111111111111:role/somebody",
            },
        ),
        (
            "CreateAutoMLJobV2",
            {
                "AutoMLJobName": "t",
                "AutoMLJobInputDataConfig": [{"ChannelType": "training"}],
                "OutputDataConfig": {"S3OutputPath": "s3://lab/x"},
                "AutoMLProblemTypeConfig": {"TabularJobConfig": {"TargetAttributeName": "y"}},
                "RoleArn": "arn:aws:iam::111111111111:role/somebody",
            },
        ),
        (
            "CreateCompilationJob",
            {
                "CompilationJobName": "t",
                "RoleArn": "arn:aws:iam::111111111111:role/somebody",
                "OutputConfig": {"S3OutputLocation": "s3://lab/x"},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            },
        ),
    ],
)
def test_jobs_that_nothing_would_run_are_not_there_and_say_so(lab: Any, operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=f"sagemaker:{operation} is not part of the embedded cloud"):
        getattr(lab.sagemaker, xform_name(operation))(**request_)


def test_tags_of_a_job_are_listed(lab: Any, image: str) -> None:
    arn = lab.run_training(lab.training("tagged", image, Tags=[{"Key": "a", "Value": "b"}]))["TrainingJobArn"]
    assert lab.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_stop_that_comes_too_late_changes_nothing(lab: Any, image: str) -> None:
    lab.run_training(lab.training("over", image))
    job = lab.job("Training", "over")
    job.enter("Stopping")
    assert lab.ended("Training", "over")["TrainingJobStatus"] == "Completed"
