"""What the jobs call, and what their private network reaches: a call that no endpoint takes would hang until it fails."""

from __future__ import annotations

import ast

import pytest

from tests.infra.rendering import PROJECT, STACKS, Rendered

# boto3's name of a service -> that of its endpoint. Without an entry here a service is out of reach: IAM, for one, whose endpoint exists
# in a single region (IAM User Guide, "Create a VPC endpoint for IAM").
ENDPOINTS = {
    "cloudwatch": "monitoring",
    "dynamodb": "dynamodb",
    "ecr": "ecr.api",
    "kms": "kms",
    "logs": "logs",
    "s3": "s3",
    "sagemaker": "sagemaker.api",
    "sagemaker-featurestore-runtime": "sagemaker.featurestore-runtime",
    "sagemaker-runtime": "sagemaker.runtime",
    "sts": "sts",
}
# How the code that runs in jobs names a service: boto3 itself, and the seam of the promotion.
CALLS = {"client", "_client", "_found", "_unless_absent"}


def services_called() -> set[str]:
    """Services that any module called with a name that is written out, in all code of job containers."""
    found: set[str] = set()
    for file in (PROJECT / "pipelines").rglob("*.py"):
        if "definitions" in file.parts:
            continue  # compiled ahead of time, on somebody's machine
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_all_that_jobs_call_has_an_endpoint(rendered: dict[str, Rendered], stack: str) -> None:
    called = services_called()
    assert {"s3", "sagemaker", "dynamodb", "cloudwatch"} <= called
    assert called <= set(ENDPOINTS), "no endpoint is known for these"
    endpoints = rendered[stack].of("aws:ec2/vpcEndpoint:VpcEndpoint")
    reached = {each.inputs["serviceName"].removeprefix("com.amazonaws.us-east-1.") for each in endpoints}
    assert {ENDPOINTS[service] for service in called} <= reached
