"""Event patterns and what targets get."""

from __future__ import annotations

from typing import Any

import pytest

from local.cloud.events.inputs import body_for, path_value
from local.cloud.events.patterns import invalid, matches

EVENT: dict[str, Any] = {
    "source": "aws.sagemaker",
    "detail-type": "SageMaker Model Package State Change",
    "resources": ["arn:a", "arn:b"],
    "detail": {"ModelPackageGroupName": "mortgage", "ModelApprovalStatus": "Approved", "version": 3, "flag": True, "nothing": None},
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["aws.sagemaker"]}, True),
        ({"source": ["aws.s3", "aws.sagemaker"], "detail": {"ModelApprovalStatus": ["Approved"]}}, True),
        ({"detail": {"ModelApprovalStatus": ["Rejected"]}}, False),
        ({"detail": {"none": ["x"]}}, False),
        ({"resources": ["arn:b"]}, True),
        ({"detail": {"version": [3]}}, True),
        ({"detail": {"version": ["3"]}}, False),
        ({"detail": {"flag": [True]}}, True),
        ({"detail": {"version": [True]}}, False),
        ({"detail": {"nothing": [None]}}, True),
        ({"detail": {"version": [{"numeric": [">", 2, "<=", 3]}]}}, True),
        ({"detail": {"version": [{"numeric": ["<", 3]}]}}, False),
        ({"detail": {"ModelPackageGroupName": [{"prefix": "mort"}]}}, True),
        ({"detail": {"ModelPackageGroupName": [{"suffix": "mort"}]}}, False),
        ({"detail": {"ModelPackageGroupName": [{"wildcard": "m*g*e"}]}}, True),
        ({"detail": {"ModelPackageGroupName": [{"equals-ignore-case": "MORTGAGE"}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"anything-but": ["Rejected"]}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"anything-but": {"prefix": "App"}}]}}, False),
        ({"detail": {"none": [{"exists": False}]}}, True),
        ({"detail": {"version": [{"exists": False}]}}, False),
        ({"$or": [{"source": ["x"]}, {"detail": {"version": [3]}}]}, True),
        ({"$or": [{"source": ["x"]}, {"detail": {"version": [4]}}]}, False),
    ],
)
def test_matching(pattern: dict[str, Any], expected: bool) -> None:
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"source": "aws.sagemaker"}', '{"detail": {"a": "b"}}'])
def test_bad_patterns(text: str) -> None:
    assert invalid(text)


def test_paths() -> None:
    assert path_value("$.detail.version", EVENT) == 3
    assert path_value("$.resources[1]", EVENT) == "arn:b"
    assert path_value("$.detail.none.deeper", EVENT) is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"Input": "fixed"}, "fixed"),
        ({"InputPath": "$.detail.version"}, "3"),
        (
            {"InputTransformer": {"InputPathsMap": {"g": "$.detail.ModelPackageGroupName"}, "InputTemplate": '"<g> is new"'}},
            '"mortgage is new"',
        ),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"g": "$.detail.ModelPackageGroupName", "v": "$.detail.version"},
                    "InputTemplate": '{"g": <g>, "v": <v>}',
                }
            },
            '{"g": "mortgage", "v": 3}',
        ),
        ({"InputTransformer": {"InputTemplate": "rule <aws.events.rule-name>"}}, "rule r"),
    ],
)
def test_inputs(target: dict[str, Any], expected: str) -> None:
    assert body_for(target, EVENT, "arn:aws:events:us-east-1:1:rule/r") == expected
