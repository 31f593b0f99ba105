"""What tests of the embedded cloud share."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.cloud.context import Cloud
from local.cloud.sagemaker.backend import backends
from local.cloud.server import running
from tests.cloud.aws import account, aws, cloud, localstack

__all__ = ["account", "aws", "cloud", "lab", "localstack", "push_image"]

ACCOUNT = "111111111111"
REGION = "us-east-1"
DEADLINE = 90.0

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="session")
def push_image() -> Callable[..., str]:
    """`push_image(session, repository, files, env, lock="") -> uri@digest` of images.py beside this file."""
    spec = importlib.util.spec_from_file_location("lockstep_test_images", Path(__file__).with_name("images.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., str] = module.push_image
    return function


@dataclass
class Lab:
    """A cloud with one account that can run jobs: a role that SageMaker may assume, a bucket, a way to push images."""

    cloud: Cloud
    session: Any
    role: str
    bucket: str
    push: Callable[..., str]

    def __post_init__(self) -> None:
        self.sagemaker = self.session.client("sagemaker")
        self.s3 = self.session.client("s3")
        self.logs = self.session.client("logs")

    def image(self, files: dict[str, str], **options: Any) -> str:
        return self.push(self.session, "tiny", files, **options)

    def put(self, key: str, body: str | bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def get(self, uri: str) -> bytes:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        body: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]

    def role_named(self, name: str, trust: dict[str, Any] | None = None) -> str:
        answer = self.session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust or TRUST))
        arn: str = answer["Role"]["Arn"]
        return arn

    def processing(self, name: str, image: str, code: str | None = None, **changes: Any) -> dict[str, Any]:
        """A CreateProcessingJob request for `python -c code`, or for the entry point in `changes`."""
        specification: dict[str, Any] = {"ImageUri": image}
        if code is not None:
            specification["ContainerEntrypoint"] = ["python", "-c", f"exec({code!r})"]  # arguments hold no line breaks
        return {
            "ProcessingJobName": name,
            "RoleArn": self.role,
            "AppSpecification": specification,
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
            **changes,
        }

    def training(self, name: str, image: str, **changes: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **changes,
        }

    def run_processing(self, request: dict[str, Any]) -> dict[str, Any]:
        self.sagemaker.create_processing_job(**request)
        return self.ended("Processing", request["ProcessingJobName"])

    def run_training(self, request: dict[str, Any]) -> dict[str, Any]:
        self.sagemaker.create_training_job(**request)
        return self.ended("Training", request["TrainingJobName"])

    def job(self, kind: str, name: str) -> Any:
        return backends[ACCOUNT][REGION].job(kind, name)

    def ended(self, kind: str, name: str) -> dict[str, Any]:
        """Wait for a job's end; the answer of Describe."""
        assert self.job(kind, name).done.wait(DEADLINE), f"{name} has not ended"
        answer: dict[str, Any] = getattr(self.sagemaker, f"describe_{kind.lower()}_job")(**{f"{kind}JobName": name})
        return answer

    def log_lines(self, kind: str, name: str) -> list[str]:
        group = f"/aws/sagemaker/{kind}Jobs"
        streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        assert len(streams) == 1
        events = self.logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)["events"]
        return [event["message"] for event in events]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, push_image: Callable[..., str]) -> Iterator[Lab]:
    """A lab of its own for each module of tests, on a clock of a thousand cloud seconds a second."""
    with running(tmp_path_factory.mktemp("cloud"), speed=1000.0) as cloud:
        session = cloud.session(ACCOUNT, REGION)
        role = session.client("iam").create_role(RoleName="jobs", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        session.client("s3").create_bucket(Bucket="lab")
        yield Lab(cloud, session, role, "lab", push_image)
