"""The compiled definitions: current, free of any environment, and private in every step."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstep import definitions
from pipelines.definitions.compile import compile_all

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "pipelines/definitions"
TOKENS = {
    "role_jobs", "role_promotion", "toolkit_image", "outputs_uri", "artefacts_uri",
    "data_uri", "artefacts_kms_key", "jobs_kms_key", "subnet_ids",
    "jobs_security_group_ids", "processing_instance_type", "training_instance_type", "model_package_group", "environment", "workload",
}  # fmt: skip
STEPS = {
    "training": [
        "Validate",
        "Prepare",
        "Train",
        "Evaluate",
        "Champion",
        "EvaluateChampion",
        "Gates",
        "GatesPassed",
        "Register",
        "GatesRefused",
    ],
    "admit": ["Verify", "Evaluate", "EvaluateChampion", "Gates", "GatesPassed", "Register", "GatesRefused"],
    "release": ["Release"],
}
WORKLOAD_STEPS = {"Prepare", "Train", "Evaluate", "EvaluateChampion"}


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def steps(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for step in definition["Steps"]:
        yield step
        if step["Type"] == "Condition":
            yield from step["Arguments"]["IfSteps"] + step["Arguments"]["ElseSteps"]


def test_the_committed_definitions_are_current() -> None:
    """Compiles with the SageMaker SDK, once: that takes most of this room's time."""
    for name, text in compile_all().items():
        assert (FOLDER / f"{name}.json").read_text() == text, f"{name}.json is stale: run `lockstep pipeline compile`"


def test_the_committed_toolkit_digest_is_current() -> None:
    assert definitions.stale(ROOT, {definitions.TOOLKIT: definitions.toolkit_text(ROOT)}) == [], "run `lockstep pipeline compile`"


@pytest.mark.parametrize("name", STEPS)
def test_the_steps_are_those_that_others_rely_on(name: str) -> None:
    assert sorted(step["Name"] for step in steps(load(name))) == sorted(STEPS[name])


@pytest.mark.parametrize("name", STEPS)
def test_nothing_of_an_environment_is_compiled_in(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    assert set(re.findall(r"\$\{lockstep:(\w+)\}", text)) <= TOKENS
    assert not re.search(r"arn:aws|s3://|lockstep-token|us-east-1|\d{12}", text)


@pytest.mark.parametrize("name", STEPS)
def test_every_job_is_private_and_encrypted(name: str) -> None:
    for step in steps(load(name)):
        if step["Type"] not in ("Processing", "Training"):
            continue
        arguments = step["Arguments"]
        network = arguments["NetworkConfig"] if step["Type"] == "Processing" else arguments
        assert network["VpcConfig"] == {"SecurityGroupIds": ["${lockstep:jobs_security_group_ids}"], "Subnets": ["${lockstep:subnet_ids}"]}
        encrypted = network.get("EnableInterContainerTrafficEncryption")
        assert encrypted is True
        assert network["EnableNetworkIsolation"] is (step["Name"] in WORKLOAD_STEPS)
        cluster = arguments["ProcessingResources"]["ClusterConfig"] if step["Type"] == "Processing" else arguments["ResourceConfig"]
        assert cluster["VolumeKmsKeyId"] == "${lockstep:jobs_kms_key}"
        outputs = arguments["ProcessingOutputConfig"] if step["Type"] == "Processing" else arguments["OutputDataConfig"]
        assert outputs["KmsKeyId"] == "${lockstep:artefacts_kms_key}"
        assert bool(step.get("RetryPolicies")) is (step["Name"] != "Release")


def test_promotion_code_never_runs_from_a_candidates_image() -> None:
    for name in STEPS:
        for step in steps(load(name)):
            if step["Type"] == "Processing":
                own = step["Arguments"]["AppSpecification"]["ImageUri"] == "${lockstep:toolkit_image}"
                assert own is (step["Name"] in {"Champion", "Verify", "Gates", "Register", "Release"})


def test_the_cache_serves_only_steps_that_depend_on_their_inputs_alone() -> None:
    cached = {step["Name"] for name in STEPS for step in steps(load(name)) if step.get("CacheConfig", {}).get("Enabled")}
    assert cached == {"Validate", "Prepare", "Train"}
