"""Tokens of compiled definitions, and the bootstrap archive."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import definitions
from infra.archive import bootstrap_archive
from infra.errors import ConfigError
from tests.infra.rendering import PROJECT, STACKS, Rendered

VALUES = {"role_jobs": "arn:role", "subnet_ids": ["a", "b"], "artefacts_uri": "s3://bucket"}


@pytest.mark.parametrize(
    ("node", "filled"),
    [
        ("${lockstep:role_jobs}", "arn:role"),
        ("${lockstep:artefacts_uri}/models", "s3://bucket/models"),
        (["${lockstep:subnet_ids}"], ["a", "b"]),
        ({"Subnets": "${lockstep:subnet_ids}"}, {"Subnets": ["a", "b"]}),
        (["x", "${lockstep:role_jobs}"], ["x", "arn:role"]),
        ([["x"]], [["x"]]),
        ({"Get": "Parameters.X", "n": 1, "b": True, "z": None}, {"Get": "Parameters.X", "n": 1, "b": True, "z": None}),
    ],
)
def test_filling(node: object, filled: object) -> None:
    assert json.loads(definitions.fill(json.dumps(node), VALUES, where="x.json")) == filled


@pytest.mark.parametrize(("instance", "kept"), [("ml.m5.large", ["kms"]), ("ml.g5.xlarge", []), ("ml.p4d.24xlarge", [])])
def test_a_machine_with_local_storage_gets_no_volume_key(instance: str, kept: list[str]) -> None:
    """CreateTrainingJob and CreateProcessingJob refuse one there."""
    definition = {"Steps": [{"Arguments": {"ResourceConfig": {"InstanceType": "${lockstep:machine}", "VolumeKmsKeyId": "kms"}}}]}
    filled = json.loads(definitions.fill(json.dumps(definition), {"machine": instance}, where="x.json"))
    config = filled["Steps"][0]["Arguments"]["ResourceConfig"]
    assert [value for key, value in config.items() if key != "InstanceType"] == kept


def test_an_unknown_token_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        definitions.fill('["${lockstep:subnets_ids}"]', VALUES, where="x.json")
    assert caught.value.where == "x.json"
    assert "did you mean 'subnet_ids'?" in caught.value.message


def test_a_list_inside_a_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="is a list and stands inside a longer text"):
        definitions.fill('"a/${lockstep:subnet_ids}"', VALUES, where="x.json")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_a_definition_without_tokens_stays_as_it_is(document: dict[str, object]) -> None:
    text = json.dumps(document)
    if "${lockstep:" not in text:
        assert json.loads(definitions.fill(text, VALUES, where="x.json")) == document


@pytest.mark.parametrize("stack", STACKS)
def test_pipelines_are_filled_whole(rendered: dict[str, Rendered], stack: str) -> None:
    for kind in ("training", "admit", "release"):
        inputs = rendered[stack].one(f"pipelines-{kind}").inputs
        text = inputs["pipelineDefinition"]
        assert "${lockstep:" not in text
        assert json.loads(text)["Version"] == "2020-12-01"
        assert len(text) <= 1_048_576
        for other in STACKS:
            assert other == stack or f"lockstep-{other}-" not in text
    release = rendered[stack].one("pipelines-release").inputs["pipelineDefinition"]
    assert f"role/lockstep-{stack}-promotion" not in release  # mock ARNs: what counts is that roles come from resources
    assert "roles-promotion" in release


def test_approval_starts_the_release_with_the_package(rendered: dict[str, Rendered]) -> None:
    rule, target = rendered["prod"].one("pipelines-approved").inputs, rendered["prod"].one("pipelines-release-on-approval").inputs
    assert json.loads(rule["eventPattern"]) == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["lockstep-prod-mortgage"], "ModelApprovalStatus": ["Approved"]},
    }
    assert target["sagemakerPipelineTarget"] == {
        "pipelineParameterLists": [{"name": "ModelPackageArn", "value": "$.detail.ModelPackageArn"}]
    }
    assert target["arn"].endswith("pipelines-release")
    assert target["roleArn"].endswith("roles-events")


def test_the_bootstrap_archive_is_the_same_each_time_and_holds_the_code() -> None:
    archive = bootstrap_archive()
    assert archive == bootstrap_archive()
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive.content_base64)), mode="r:gz") as tar:
        assert tar.getnames() == ["code/inference.py"]
        member = tar.extractfile("code/inference.py")
        assert member is not None
        assert member.read() == (PROJECT / "infra" / "bootstrap" / "inference.py").read_bytes()
    assert bootstrap_archive(b"other").sha256 != archive.sha256


def test_the_bootstrap_answers_the_contract_with_the_standard_library_alone() -> None:
    path: Path = PROJECT / "infra" / "bootstrap" / "inference.py"
    spec = importlib.util.spec_from_file_location("bootstrap_inference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.model_fn("/opt/ml/model")
    for body, kind, rows in (("1,2\n3,4\n", "text/csv", 2), (b'[{"a": 1}]', "application/json", 1), ('{"a": 1}', "application/json; x", 1)):
        text, content_type = module.output_fn(module.predict_fn(module.input_fn(body, kind), model), "text/csv")
        assert content_type == "application/json"
        answer = json.loads(text)
        assert answer["release"] == "bootstrap"
        assert answer["predictions"] == [None] * rows
    with pytest.raises(ValueError, match="takes text/csv and application/json"):
        module.input_fn("x", "image/png")
    imported = {
        line.split()[1].split(".")[0] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names
