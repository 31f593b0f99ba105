"""Clouds one after another: each begins with nothing."""

from __future__ import annotations

from pathlib import Path

from local.cloud.server import running
from tests.cloud.aws import ACCOUNT, REGION


def test_state_is_gone_with_the_cloud(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path) as cloud:
            s3 = cloud.session(ACCOUNT, REGION).client("s3")
            assert s3.list_buckets()["Buckets"] == []
            s3.create_bucket(Bucket="here")


def test_a_role_is_gone_with_the_cloud(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path) as cloud:
            iam = cloud.session(ACCOUNT, REGION).client("iam")
            assert iam.list_roles()["Roles"] == []
            iam.create_role(RoleName="here", AssumeRolePolicyDocument="{}")
