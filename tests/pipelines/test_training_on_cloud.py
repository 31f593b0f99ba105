"""The training pipeline as compiled, run by the embedded cloud on the real data: images by digest, jobs as processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra import definitions
from infra.errors import GateRefused, IntegrityError
from infra.outputs import EnvironmentOutputs
from local.cloud.sagemaker.backend import backends
from local.cloud.server import running
from lockstep import datasets, main
from lockstep.datasets import DataFile
from lockstep.images.image import Image
from lockstep.images.push import push
from lockstep.images.sources import toolkit_image, workload_image
from pipelines import baseline, executions, registry
from pipelines.executions import Outcome
from tests.promotion.environment import make_outputs

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "111111111111", "us-east-1"
RUN_SECONDS = 240
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class Dev:
    """A dev environment without Pulumi: what training needs of it, and no more."""

    session: Any
    outputs: EnvironmentOutputs
    image: Image
    data: DataFile
    golden: DataFile

    def train(self, token: str, **changes: str) -> Outcome:
        parameters = {
            "ImageUri": f"{self.outputs.repositories.workload.uri}@{self.image.digest}",
            "DataUri": f"s3://{self.outputs.buckets.data.name}/{self.data.key}",
            "DataVersion": self.data.sha256,
            "BaselineVersion": baseline.version(self.baseline()),
            "GoldenUri": f"s3://{self.outputs.buckets.data.name}/{self.golden.key}",
            "GoldenSha256": self.golden.sha256,
            "RequestedBy": "arn:aws:sts::111111111111:assumed-role/people/ann",
            **changes,
        }
        client = self.session.client("sagemaker")
        name = self.outputs.pipelines.training
        arn = executions.start(client, name, parameters, executions.token(token))
        assert executions.start(client, name, parameters, executions.token(token)) == arn
        return executions.watch(client, arn, poll_seconds=0.2, deadline_seconds=RUN_SECONDS)

    def baseline(self) -> Any:
        return baseline.read(self.session.client("s3"), self.outputs.buckets.artefacts.name, baseline.key("mortgage"))

    def object(self, uri: str) -> Any:
        bucket, key = registry.split_uri(uri)
        return json.loads(self.session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, trained: Path, exported: tuple[DataFile, DataFile]) -> Iterator[Dev]:
    outputs = make_outputs().model_copy(update={"workload": "mortgage"})
    with running(tmp_path_factory.mktemp("cloud"), speed=100.0) as cloud:
        session = cloud.session(ACCOUNT, REGION)
        key = session.client("kms").create_key()["KeyMetadata"]["Arn"]
        outputs = outputs.model_copy(update={"keys": outputs.keys.model_copy(update={name: key for name in ("data", "artefacts")})})
        for role in (outputs.roles.jobs, outputs.roles.serving, outputs.roles.promotion, outputs.roles.pipelines):
            session.client("iam").create_role(RoleName=role.split("/")[-1], AssumeRolePolicyDocument=json.dumps(TRUST))
        s3, ecr, sagemaker = (session.client(name) for name in ("s3", "ecr", "sagemaker"))
        for bucket in (outputs.buckets.data, outputs.buckets.artefacts, outputs.buckets.ledger):
            s3.create_bucket(Bucket=bucket.name)
        s3.put_object(Bucket=outputs.buckets.artefacts.name, Key="environment/outputs.json", Body=outputs.model_dump_json())
        image, toolkit = workload_image(ROOT, "mortgage"), toolkit_image(ROOT)
        for repository, built in ((outputs.repositories.workload, image), (outputs.repositories.toolkit, toolkit)):
            ecr.create_repository(repositoryName=repository.name, imageTagMutability="IMMUTABLE")
            push(ecr, repository.name, built)
        sagemaker.create_model_package_group(ModelPackageGroupName=outputs.model_package_group_name)
        sagemaker.create_pipeline(
            PipelineName=outputs.pipelines.training,
            ClientRequestToken="t" * 32,
            RoleArn=outputs.roles.pipelines,
            PipelineDefinition=definition(outputs, toolkit),
        )
        for file in exported:
            datasets.push(session, outputs, file)
        serve_bootstrap(session, outputs, image, trained)
        yield Dev(session, outputs, image, *exported)


def definition(outputs: EnvironmentOutputs, toolkit: Image) -> str:
    """The committed definition with this environment's values."""
    values = {
        "role_jobs": outputs.roles.jobs,
        "toolkit_image": f"{outputs.repositories.toolkit.uri}@{toolkit.digest}",
        "outputs_uri": outputs.outputs_uri,
        "artefacts_uri": f"s3://{outputs.buckets.artefacts.name}",
        "artefacts_kms_key": outputs.keys.artefacts,
        "jobs_kms_key": outputs.keys.data,
        "subnet_ids": list(outputs.network.subnet_ids),
        "jobs_security_group_ids": [outputs.network.jobs_security_group_id],
        "processing_instance_type": "ml.m5.large",
        "training_instance_type": "ml.m5.large",
        "workload": outputs.workload,
    }
    text = (ROOT / "pipelines/definitions/training.json").read_text(encoding="utf-8")
    return definitions.fill(text, values, where="training.json")


def serve_bootstrap(session: Any, outputs: EnvironmentOutputs, image: Image, trained: Path) -> None:
    """An endpoint on its bootstrap config; what it serves is a real model here, which shows that the image serves."""
    sagemaker = session.client("sagemaker")
    artefact = (trained / "processing/input/model/model.tar.gz").read_bytes()
    session.client("s3").put_object(Bucket=outputs.buckets.artefacts.name, Key="bootstrap/model.tar.gz", Body=artefact)
    sagemaker.create_model(
        ModelName=outputs.endpoint.bootstrap_model_name,
        ExecutionRoleArn=outputs.roles.serving,
        PrimaryContainer={
            "Image": f"{outputs.repositories.workload.uri}@{image.digest}",
            "ModelDataUrl": f"s3://{outputs.buckets.artefacts.name}/bootstrap/model.tar.gz",
        },
    )
    variant = {"VariantName": "main", "ModelName": outputs.endpoint.bootstrap_model_name, "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName=outputs.endpoint.bootstrap_config_name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=outputs.endpoint.name, EndpointConfigName=outputs.endpoint.bootstrap_config_name)
    assert backends[ACCOUNT][REGION].servings[outputs.endpoint.name].idle.wait(120)
    described = sagemaker.describe_endpoint(EndpointName=outputs.endpoint.name)
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")


@pytest.fixture(scope="module")
def registered(dev: Dev) -> Outcome:
    """A run with the shipped settings."""
    outcome = dev.train("shipped")
    assert outcome.succeeded, executions.explain(dev.session.client("sagemaker"), outcome)
    return outcome


def test_a_good_candidate_is_registered_with_its_evidence(dev: Dev, registered: Outcome) -> None:
    client = dev.session.client("sagemaker")
    arn = executions.registered_package(client, registered)
    assert arn == registry.latest(client, dev.outputs.model_package_group_name)
    assert arn is not None
    record = registry.describe(client, arn)
    assert record.image_digest == dev.image.digest
    assert (record.data_sha256, record.golden_sha256) == (dev.data.sha256, dev.golden.sha256)
    assert record.model_uri == registry.model_uri(dev.outputs.buckets.artefacts.name, record.artefact_sha256)
    assert record.gates == "7 passed and 3 not applicable"
    assert record.generated_by == registered.arn
    assert dev.object(record.gates_uri)["passed"] is True
    assert dev.object(record.evaluation_uri)["artefact_sha256"] == record.artefact_sha256
    assert dev.baseline()["data_version"] == dev.data.sha256


def test_the_image_serves_on_an_endpoint(dev: Dev) -> None:
    """The second half of the contract: the same image that trains also serves."""
    answer = dev.session.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=dev.outputs.endpoint.name, ContentType="text/csv", Body=dev.golden.content
    )
    assert len(json.loads(answer["Body"].read())["predictions"]) == dev.golden.rows


def test_a_model_that_is_unfair_ends_the_run_with_gate_and_margin(dev: Dev, registered: Outcome) -> None:
    before = registry.latest(dev.session.client("sagemaker"), dev.outputs.model_package_group_name)
    outcome = dev.train("plain", Hyperparameters='{"mitigation": "none"}')
    assert outcome.status == "Failed"
    error = executions.explain(dev.session.client("sagemaker"), outcome)
    assert isinstance(error, GateRefused)
    assert error.message.startswith("fairness: equal_opportunity_difference 0.15")
    assert "> 0.1 by 0.05" in error.message
    assert outcome.step("Register") is None
    assert registry.latest(dev.session.client("sagemaker"), dev.outputs.model_package_group_name) == before
    # The first run was compared with no baseline, and its verdict is none about the baseline that it left.
    assert {step.name for step in outcome.steps if step.cache_hit} == {"Prepare"}


def test_a_verdict_against_one_baseline_is_none_against_another(dev: Dev, registered: Outcome) -> None:
    accepted = dev.baseline()
    first, again = (dev.train(name, GoldenUri="s3://no/such") for name in ("against it", "against it again"))  # ends after Validate
    assert [step.status for run in (first, again) if (step := run.step("Validate"))] == ["Succeeded", "Succeeded"]
    assert again.steps[0].cache_hit
    moved = json.loads(json.dumps(accepted))
    column = moved["statistics"]["columns"]["unemp"]
    column["edges"] = [edge + 100 for edge in column["edges"]]
    place = {"Bucket": dev.outputs.buckets.artefacts.name, "Key": baseline.key("mortgage")}
    s3 = dev.session.client("s3")
    s3.put_object(**place, Body=json.dumps(moved).encode())
    try:
        refused = executions.explain(dev.session.client("sagemaker"), dev.train("against another"))
        assert isinstance(refused, GateRefused)
        assert "unemp moved from the accepted baseline" in refused.message
    finally:
        s3.put_object(**place, Body=json.dumps(accepted).encode())


def test_data_that_is_not_its_version_stops_before_training(dev: Dev) -> None:
    outcome = dev.train("other", DataVersion="0" * 64)
    error = executions.explain(dev.session.client("sagemaker"), outcome)
    assert isinstance(error, IntegrityError)
    assert error.message.startswith("step Validate: the data has digest")
    assert outcome.step("Train") is None


def test_data_that_was_overwritten_does_not_find_the_rows_of_the_old_in_the_cache(dev: Dev, registered: Outcome) -> None:
    """The URI is the same, and Prepare has run for it: its answer is about other bytes."""
    place = {"Bucket": dev.outputs.buckets.data.name, "Key": dev.data.key}
    other = dev.data.content + dev.golden.content.splitlines()[1] + b"\n"  # a golden row, which only Prepare finds
    s3, digest = dev.session.client("s3"), hashlib.sha256(other).hexdigest()
    s3.put_object(**place, Body=other)
    try:
        outcome = dev.train("overwritten", DataVersion=digest)
    finally:
        s3.put_object(**place, Body=dev.data.content)
    error = executions.explain(dev.session.client("sagemaker"), outcome)
    assert isinstance(error, IntegrityError)
    assert error.message.startswith("step Prepare: 1 rows are in the training data and in the golden set")
    assert not any(step.cache_hit for step in outcome.steps)


@pytest.fixture
def command(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`command("pipeline", "status", ...)`: exit code of the command line, in this environment."""
    from lockstep.commands import data, image, pipeline

    for module in (data, image, pipeline):
        monkeypatch.setattr(module, "outputs", lambda _: dev.outputs)
        monkeypatch.setattr(module, "session", lambda _: dev.session)
    return lambda *words: main.run(list(words))


def test_the_commands_push_run_and_show(command: Any, dev: Dev, registered: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("image", "push", "dev", "mortgage", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["digest"] == dev.image.digest
    assert command("data", "push", "dev", "--json") == 0
    assert [each["sent"] for each in json.loads(capsys.readouterr().out)] == [False, False]
    assert command("pipeline", "run", "dev", "training") == 0
    shown = capsys.readouterr().out
    assert "Train              Succeeded (from the cache)" in shown
    assert "Succeeded: arn:aws:sagemaker:" in shown
    assert command("pipeline", "status", "dev", "training", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "Succeeded"


def test_a_refused_gate_is_exit_code_3(command: Any, registered: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("pipeline", "run", "dev", "training", "--param", 'Hyperparameters={"mitigation": "none"}') == 3
    assert "fairness: equal_opportunity_difference 0.15" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "dev", "trainnig"), "there is no pipeline 'trainnig'"),
        (("run", "dev", "training", "--param", "x"), "'x' is no NAME=VALUE"),
        (("run", "dev", "training", "--param", "Hyperparameter={}"), "has no parameter 'Hyperparameter'"),
        (("run", "dev", "training", "--param", "Hyperparameter={}"), "Did you mean Hyperparameters? Its parameters: ImageUri, DataUri,"),
        (("run", "dev", "training", "--image", "sha256:" + "0" * 64), "lockstep image push dev mortgage"),
        (("status", "dev", "release"), "lockstep-dev-release"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    command: Any, dev: Dev, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    before = dev.session.client("sagemaker").list_pipeline_executions(PipelineName=dev.outputs.pipelines.training)
    assert command("pipeline", *words) in (1, 2)
    assert says in capsys.readouterr().err
    after = dev.session.client("sagemaker").list_pipeline_executions(PipelineName=dev.outputs.pipelines.training)
    assert len(after["PipelineExecutionSummaries"]) == len(before["PipelineExecutionSummaries"])
