"""The roles of an environment do their work under their own policies, and each statement is there for a reason: take one away, and what
needs it fails, in AWS's words."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.boundary import boundary_document
from infra.config import load_all
from infra.documents import Statement, document
from infra.duties import KeyArns, permissions, trust
from infra.grants import bucket_policy
from infra.naming import BucketPurpose, Duty
from infra.site import Site
from local.cloud.context import Cloud
from local.cloud.sagemaker.backend import backends
from local.cloud.server import running
from tests.cloud.images import push_image

STACKS = Path(__file__).resolve().parents[3] / "stacks"
NETWORK = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
COPY = (
    "import os, shutil; b = os.environ['SAGEMAKER_BASE_DIR'] + '/processing';"
    "shutil.copytree(b + '/input/i', b + '/output/o', dirs_exist_ok=True); print('copied')"
)
ENCRYPTED = {"EnableInterContainerTrafficEncryption": True}
DUTIES: tuple[Duty, ...] = ("jobs", "serving", "promotion", "pipelines")


class Environment:
    """The roles of dev under their boundary, with the buckets, key, repository and image that they work on."""

    def __init__(self, cloud: Cloud) -> None:
        stacks = load_all(STACKS)
        self.cloud, self.site = cloud, Site.of(stacks["dev"], stacks)
        self.names = self.site.names
        session = cloud.session(self.names.account_id, self.names.region)
        self.iam, self.s3, self.admin = session.client("iam"), session.client("s3"), session.client("sagemaker")
        kms = session.client("kms")
        self.keys = KeyArns(**{name: kms.create_key()["KeyMetadata"]["Arn"] for name in ("data", "artefacts", "ledger", "operations")})
        self.iam.create_policy(PolicyName=self.names.boundary, PolicyDocument=boundary_document(self.site))
        for duty in DUTIES:
            self.iam.create_role(
                RoleName=self.names.role(duty),
                AssumeRolePolicyDocument=trust(self.site, duty),
                PermissionsBoundary=self.names.boundary_arn,
            )
            self._give(duty, self.statements(duty))
        keys: dict[BucketPurpose, str] = {
            "data": self.keys.data,
            "artefacts": self.keys.artefacts,
            "capture": self.keys.data,
            "ledger": self.keys.ledger,
        }
        for purpose, key in keys.items():
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
            self.s3.create_bucket(Bucket=self.names.bucket(purpose))
            self.s3.put_bucket_encryption(Bucket=self.names.bucket(purpose), ServerSideEncryptionConfiguration={"Rules": [rule]})
        self.s3.put_bucket_policy(Bucket=self.names.bucket("ledger"), Policy=bucket_policy(self.site, "ledger"))
        session.client("dynamodb").create_table(
            TableName=self.names.journal,
            KeySchema=[{"AttributeName": "promotion_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "promotion_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.s3.put_object(Bucket=self.names.bucket("data"), Key="golden/rows.csv", Body=b"1,2\n")
        self.s3.put_object(Bucket=self.names.bucket("artefacts"), Key="models/model.tar.gz", Body=_empty_archive())
        self.image = push_image(session, self.names.repository("workload"), {"bin/serve": SERVE})
        self.runs = 0

    def statements(self, duty: Duty) -> list[Statement]:
        return permissions(self.site, duty, self.keys)

    def client(self, duty: Duty, service: str = "sagemaker") -> Any:
        return self.cloud.session(self.names.account_id, self.names.region, self.names.role_arn(duty)).client(service)

    @contextmanager
    def without(self, duty: Duty, sid: str) -> Iterator[None]:
        """The duty less one statement."""
        whole = self.statements(duty)
        less = [each for each in whole if each["Sid"] != sid]
        assert len(less) == len(whole) - 1, f"{duty} has no statement {sid}"
        self._give(duty, less)
        try:
            yield
        finally:
            self._give(duty, whole)

    @contextmanager
    def having(self, duty: Duty, *more: Statement) -> Iterator[None]:
        """The duty, with more attached than it has."""
        text = document([{**each, "Sid": f"More{number}"} for number, each in enumerate(more)])
        self.iam.put_role_policy(RoleName=self.names.role(duty), PolicyName="more", PolicyDocument=text)
        try:
            yield
        finally:
            self.iam.delete_role_policy(RoleName=self.names.role(duty), PolicyName="more")

    def _give(self, duty: Duty, statements: list[Statement]) -> None:
        self.iam.put_role_policy(RoleName=self.names.role(duty), PolicyName="duty", PolicyDocument=document(statements))

    def job(self, made_by: Duty = "pipelines", runs_as: Duty = "jobs", encryption: dict[str, bool] | None = None) -> dict[str, Any]:
        """A processing job, once it has ended."""
        self.runs += 1
        name = f"job-{self.runs}"
        at = "/opt/ml/processing"
        data, out = f"s3://{self.names.bucket('data')}/golden/", f"s3://{self.names.bucket('artefacts')}/runs/{name}"
        self.client(made_by).create_processing_job(
            ProcessingJobName=name,
            RoleArn=self.names.role_arn(runs_as),
            AppSpecification={"ImageUri": self.image, "ContainerEntrypoint": ["python", "-c", COPY]},
            ProcessingInputs=[
                {"InputName": "i", "S3Input": {**_s3(data, f"{at}/input/i"), "S3DataType": "S3Prefix", "S3InputMode": "File"}}
            ],
            ProcessingOutputConfig={
                "KmsKeyId": self.keys.artefacts,
                "Outputs": [{"OutputName": "o", "S3Output": {**_s3(out, f"{at}/output/o"), "S3UploadMode": "EndOfJob"}}],
            },
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "VolumeKmsKeyId": self.keys.data}
            },
            NetworkConfig={"VpcConfig": NETWORK, **(encryption if encryption is not None else ENCRYPTED)},
        )
        assert backends[self.names.account_id][self.names.region].job("Processing", name).done.wait(90)
        return dict(self.admin.describe_processing_job(ProcessingJobName=name))

    def model(self, isolation: dict[str, bool] | None = None) -> str:
        """A model of a release, as the promotion makes it."""
        self.runs += 1
        name = f"{self.names.release_prefix}-{self.runs}"
        url = f"s3://{self.names.bucket('artefacts')}/models/model.tar.gz"
        self.client("promotion").create_model(
            ModelName=name,
            ExecutionRoleArn=self.names.role_arn("serving"),
            PrimaryContainer={"Image": self.image, "ModelDataUrl": url},
            VpcConfig=NETWORK,
            **(isolation if isolation is not None else {"EnableNetworkIsolation": True}),
        )
        return name

    def config(self) -> str:
        """A model and an endpoint config of the same name, with a volume under the key."""
        name = self.model()
        variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        self.client("promotion").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], KmsKeyId=self.keys.data)
        return name

    def endpoint(self) -> dict[str, Any]:
        """A new endpoint, made by an administrator, once it serves or has failed; it is deleted again."""
        name = self.config()
        self.admin.create_endpoint(EndpointName=name, EndpointConfigName=name)
        serving = backends[self.names.account_id][self.names.region].servings[name]
        assert serving.idle.wait(90)
        described = dict(self.admin.describe_endpoint(EndpointName=name))
        self.admin.delete_endpoint(EndpointName=name)
        assert serving.idle.wait(90)
        return described


SERVE = r"""#!/usr/bin/env python
import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def _empty_archive() -> bytes:
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w:gz").close()
    return buffer.getvalue()


def _s3(uri: str, path: str) -> dict[str, str]:
    return {"S3Uri": uri, "LocalPath": path}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with running(tmp_path_factory.mktemp("cloud"), speed=1000.0, enforce_iam=True) as cloud:
        yield Environment(cloud)


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value)


def unauthorized(duty: Duty, action: str) -> str:
    return f"assumed-role/lockstep-dev-{duty}/SageMaker is not authorized to perform: {action} on resource: "


def test_the_duties_suffice(environment: Environment) -> None:
    job = environment.job()
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    described = environment.endpoint()
    assert (described["EndpointStatus"], described.get("FailureReason")) == ("InService", None)
    assert environment.cloud.rights.describe()["refused"] == {}


@pytest.mark.parametrize(
    ("sid", "action"),
    [
        ("ReadData", "s3:GetObject"),
        ("SeeBuckets", "s3:ListBucket"),
        ("UseArtefacts", "s3:PutObject"),
        ("WriteWithKeys", "kms:Decrypt"),
        ("LogInToRegistry", "ecr:GetAuthorizationToken"),
        ("PullImages", "ecr:BatchCheckLayerAvailability"),
        ("SeeNetwork", "ec2:DescribeDhcpOptions"),
        ("AttachToNetwork", "ec2:CreateNetworkInterface"),
    ],
)
def test_a_job_fails_by_what_its_role_lacks(environment: Environment, sid: str, action: str) -> None:
    with environment.without("jobs", sid):
        job = environment.job()
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert unauthorized("jobs", action) in job["FailureReason"]


def test_a_volume_s_key_is_granted_by_the_role_or_by_who_makes_the_job(environment: Environment) -> None:
    with environment.without("jobs", "DelegateVolumeKeys"):
        message = refusal(environment.job)
    assert "(AccessDeniedException)" in message
    assert unauthorized("pipelines", "kms:CreateGrant") in message


def test_without_the_right_to_logs_a_job_runs_and_leaves_none(environment: Environment) -> None:
    logs = environment.cloud.session(environment.names.account_id, environment.names.region).client("logs")

    def streams(job: dict[str, Any]) -> int:
        group = "/aws/sagemaker/ProcessingJobs"
        return len(logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job['ProcessingJobName']}/")["logStreams"])

    assert streams(environment.job()) == 1
    with environment.without("jobs", "WriteLogs"):
        job = environment.job()
    assert (job["ProcessingJobStatus"], streams(job)) == ("Completed", 0)


@pytest.mark.parametrize(("sid", "action"), [("RunJobs", "sagemaker:CreateProcessingJob"), ("RunAsDuties", "iam:PassRole")])
def test_a_pipeline_makes_no_job_that_it_may_not(environment: Environment, sid: str, action: str) -> None:
    with environment.without("pipelines", sid):
        assert unauthorized("pipelines", action) in refusal(environment.job)


@pytest.mark.parametrize("duty", ["jobs", "serving", "promotion"])
def test_no_role_but_the_pipelines_runs_a_job_as_the_promotion_whatever_is_attached_to_it(environment: Environment, duty: Duty) -> None:
    assert environment.job(runs_as="promotion")["RoleArn"] == environment.names.role_arn("promotion")
    with environment.having(duty, *environment.statements("pipelines")):
        message = refusal(lambda: environment.job(made_by=duty, runs_as="promotion"))
    assert f"{unauthorized(duty, 'iam:PassRole')}{environment.names.role_arn('promotion')}" in message
    assert "with an explicit deny in a permissions boundary" in message


@pytest.mark.parametrize("isolation", [{}, {"EnableNetworkIsolation": False}], ids=["unsaid", "off"])
def test_a_model_that_is_not_isolated_is_refused(environment: Environment, isolation: dict[str, bool]) -> None:
    message = refusal(lambda: environment.model(isolation))
    assert unauthorized("promotion", "sagemaker:CreateModel") in message
    assert "with an explicit deny in a permissions boundary" in message


@pytest.mark.parametrize("encryption", [{}, {"EnableInterContainerTrafficEncryption": False}], ids=["unsaid", "off"])
def test_a_job_in_clear_text_is_refused(environment: Environment, encryption: dict[str, bool]) -> None:
    messages = [
        refusal(lambda: environment.job(encryption=encryption)),
        refusal(
            lambda: environment.client("pipelines").create_training_job(
                TrainingJobName="clear",
                AlgorithmSpecification={"TrainingImage": environment.image, "TrainingInputMode": "File"},
                RoleArn=environment.names.role_arn("jobs"),
                OutputDataConfig={"S3OutputPath": f"s3://{environment.names.bucket('artefacts')}/runs/clear"},
                ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
                StoppingCondition={"MaxRuntimeInSeconds": 60},
                VpcConfig=NETWORK,
                **encryption,
            )
        ),
    ]
    assert all("with an explicit deny in a permissions boundary" in message for message in messages), messages


@pytest.mark.parametrize("duty", ["jobs", "serving", "pipelines"])
def test_no_role_but_the_promotion_writes_evidence_whatever_is_attached_to_it(environment: Environment, duty: Duty) -> None:
    bucket, table = environment.names.bucket("ledger"), environment.names.journal
    item = {"promotion_id": {"S": duty}}
    environment.client("promotion", "s3").put_object(Bucket=bucket, Key=f"releases/{duty}", Body=b"{}")
    environment.client("promotion", "dynamodb").put_item(TableName=table, Item=item)
    with environment.having(duty, *environment.statements("promotion")):
        messages = [
            refusal(lambda: environment.client(duty, "s3").put_object(Bucket=bucket, Key="releases/x", Body=b"{}")),
            refusal(lambda: environment.client(duty, "dynamodb").put_item(TableName=table, Item=item)),
        ]
    assert all("with an explicit deny in a permissions boundary" in message for message in messages), messages


def test_the_ledger_takes_evidence_from_the_promotion_alone(environment: Environment) -> None:
    """A role of the account that no boundary holds, and may do all of S3."""
    everything = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
    anybody = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = environment.iam.create_role(RoleName="anybody", AssumeRolePolicyDocument=document([anybody]))["Role"]["Arn"]
    environment.iam.put_role_policy(RoleName="anybody", PolicyName="all", PolicyDocument=document([everything]))
    s3 = environment.cloud.session(environment.names.account_id, environment.names.region, arn).client("s3")
    bucket = environment.names.bucket("ledger")
    s3.put_object(Bucket=environment.names.bucket("artefacts"), Key="x", Body=b"{}")
    source = {"Bucket": environment.names.bucket("artefacts"), "Key": "x"}
    ways: list[Callable[[], Any]] = [
        lambda: s3.put_object(Bucket=bucket, Key="releases/x", Body=b"{}"),
        lambda: s3.copy_object(Bucket=bucket, Key="releases/x", CopySource=source),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key="releases/x"),
    ]
    for way in ways:
        assert "with an explicit deny in a resource-based policy" in refusal(way)
    environment.client("promotion", "s3").put_object(Bucket=bucket, Key="releases/x", Body=b"{}")
    assert s3.get_object(Bucket=bucket, Key="releases/x")["Body"].read() == b"{}"


@pytest.mark.parametrize(
    ("duty", "sid", "message"),
    [
        ("promotion", "MakeReleases", "promotion/SageMaker is not authorized to perform: sagemaker:CreateModel"),
        ("promotion", "RunAsServing", "promotion/SageMaker is not authorized to perform: iam:PassRole"),
        ("serving", "ReadModels", "Could not access model data at s3://lockstep-dev-artefacts"),
        ("serving", "ReadWithKey", "Could not access model data at s3://lockstep-dev-artefacts"),
    ],
)
def test_a_model_is_refused(environment: Environment, duty: Duty, sid: str, message: str) -> None:
    with environment.without(duty, sid):
        assert message in refusal(environment.model)


@pytest.mark.parametrize(
    ("sid", "action"), [("PullImages", "ecr:BatchCheckLayerAvailability"), ("AttachToNetwork", "ec2:CreateNetworkInterface")]
)
def test_an_endpoint_fails_by_what_its_role_lacks(environment: Environment, sid: str, action: str) -> None:
    with environment.without("serving", sid):
        described = environment.endpoint()
    assert described["EndpointStatus"] == "Failed"
    assert unauthorized("serving", action) in described["FailureReason"]


def test_an_update_is_refused_to_who_may_not_grant_its_key_or_whose_role_sees_no_alarms(environment: Environment) -> None:
    first, second = environment.config(), environment.config()
    name = environment.names.endpoint
    environment.admin.create_endpoint(EndpointName=name, EndpointConfigName=first)
    assert backends[environment.names.account_id][environment.names.region].servings[name].idle.wait(90)
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}

    def update() -> None:
        environment.client("promotion").update_endpoint(EndpointName=name, EndpointConfigName=second, DeploymentConfig=alarms)

    with environment.without("promotion", "ShiftTraffic"):
        assert unauthorized("promotion", "sagemaker:UpdateEndpoint") in refusal(update)
    with environment.without("promotion", "DelegateVolumeKeys"):
        assert unauthorized("promotion", "kms:CreateGrant") in refusal(update)
    with environment.without("serving", "SeeAlarms"):
        message = refusal(update)
    assert "(ValidationException)" in message
    assert unauthorized("serving", "cloudwatch:DescribeAlarms") in message
    update()
