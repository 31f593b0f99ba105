"""Identity policies and boundaries: in the simulator, and in UpdateEndpoint when enforcement is on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.server import running
from tests.cloud.aws import ACCOUNT, REGION


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


TRUST = policy({"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"})


def make_role(iam: Any, name: str, actions: list[str], boundary: str | None = None) -> str:
    extra = {"PermissionsBoundary": boundary} if boundary else {}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, **extra)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=policy(
            {"Effect": "Allow", "Action": actions, "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::secret/*"}
        ),
    )
    return arn


def test_the_simulator_weighs_policies_and_boundary(tmp_path: Path) -> None:
    with running(tmp_path) as cloud:
        iam = cloud.session(ACCOUNT, REGION).client("iam")
        boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))[
            "Policy"
        ]["Arn"]
        role = make_role(iam, "r", ["s3:GetObject", "sagemaker:UpdateEndpoint"], boundary)
        answers = iam.simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=["s3:GetObject", "s3:PutObject", "sagemaker:UpdateEndpoint"],
            ResourceArns=["arn:aws:s3:::open/x", "arn:aws:s3:::secret/x"],
        )["EvaluationResults"]
        decisions = {(answer["EvalActionName"], answer["EvalResourceName"][13:-2]): answer["EvalDecision"] for answer in answers}
        assert decisions == {
            ("s3:GetObject", "open"): "allowed",
            ("s3:GetObject", "secret"): "explicitDeny",
            ("s3:PutObject", "open"): "implicitDeny",
            ("s3:PutObject", "secret"): "explicitDeny",
            ("sagemaker:UpdateEndpoint", "open"): "implicitDeny",
            ("sagemaker:UpdateEndpoint", "secret"): "explicitDeny",
        }
        with pytest.raises(ClientError, match="NoSuchEntity"):
            iam.simulate_principal_policy(PolicySourceArn=role + "2", ActionNames=["s3:GetObject"])


@pytest.mark.parametrize("enforced", [True, False])
def test_enforcement_keeps_others_from_updating_endpoints(tmp_path: Path, enforced: bool) -> None:
    with running(tmp_path, enforce_iam=enforced) as cloud:
        iam = cloud.session(ACCOUNT, REGION).client("iam")
        may, may_not = make_role(iam, "promotion", ["sagemaker:*"]), make_role(iam, "jobs", ["s3:*"])

        def update(role: str) -> str:
            with pytest.raises(ClientError) as caught:
                cloud.session(ACCOUNT, REGION, role).client("sagemaker").update_endpoint(EndpointName="e", EndpointConfigName="c")
            return str(caught.value.response["Error"]["Code"])

        assert update(may) == "ValidationException"  # there is no such endpoint
        assert update(may_not) == ("AccessDeniedException" if enforced else "ValidationException")


def test_a_policy_in_use_stays(tmp_path: Path) -> None:
    with running(tmp_path) as cloud:
        iam = cloud.session(ACCOUNT, REGION).client("iam")
        make_role(iam, "r", ["s3:GetObject"])
        shared = iam.create_policy(PolicyName="shared", PolicyDocument=policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))
        arn = shared["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
        with pytest.raises(ClientError, match="DeleteConflict"):
            iam.delete_policy(PolicyArn=arn)
        iam.detach_role_policy(RoleName="r", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
        with pytest.raises(ClientError, match="NoSuchEntity"):
            iam.get_policy(PolicyArn=arn)
