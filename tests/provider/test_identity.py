"""Roles and policies."""

from __future__ import annotations

import json
from typing import Any

from tests.provider.conftest import ACCOUNT
from tests.provider.door import Door

ROLE = "aws:iam/role:Role"


def document(*actions: str, principal: str | None = None) -> str:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions)}
    statement |= {"Principal": {"Service": principal}} if principal else {"Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TRUST = document("sts:AssumeRole", principal="sagemaker.amazonaws.com")


def test_a_role_with_a_boundary(door: Door) -> None:
    boundary = door.cycle("aws:iam/policy:Policy", {"name": "boundary", "policy": document("s3:*")}, {"policy": document("s3:*", "kms:*")})
    assert boundary.identity == f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    inputs = {"name": "jobs", "assumeRolePolicy": TRUST, "description": "jobs", "permissionsBoundary": boundary.identity}
    held = door.cycle(ROLE, inputs, {"description": "others", "maxSessionDuration": 7200, "tags": {"a": "b"}})
    assert held["arn"] == f"arn:aws:iam::{ACCOUNT}:role/jobs"
    assert held["uniqueId"].startswith("ARO")
    free = {k: v for k, v in inputs.items() if k != "permissionsBoundary"}
    assert door.preview(held, free).changes["permissionsBoundary"] == "delete"
    held = door.up(held, free)
    assert "permissionsBoundary" not in held.state
    assert door.preview(held, {**free, "path": "/other/"}).replaces == ["path"]
    door.gone(held)
    door.gone(boundary)


def test_a_policy_can_change_more_often_than_iam_keeps_versions(door: Door) -> None:
    held = door.up(door.held("aws:iam/policy:Policy"), {"name": "busy", "policy": document("s3:Get0")})
    for number in range(1, 8):
        held = door.up(held, {"name": "busy", "policy": document(f"s3:Get{number}")})
    assert "s3:Get7" in held["policy"]
    door.gone(held)


def test_policies_of_a_role(door: Door, session: Any) -> None:
    role = door.up(door.held(ROLE, "with"), {"assumeRolePolicy": TRUST})
    assert role.identity.startswith("with-")
    inline = door.cycle(
        "aws:iam/rolePolicy:RolePolicy",
        {"name": "inline", "role": role.identity, "policy": document("s3:GetObject")},
        {"policy": document("s3:PutObject")},
    )
    assert inline.identity == f"{role.identity}:inline"
    policy = door.up(door.held("aws:iam/policy:Policy"), {"policy": document("s3:*")})
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    attached = door.cycle(token, {"role": role.identity, "policyArn": policy.identity})
    session.client("iam").detach_role_policy(RoleName=role.identity, PolicyArn=policy.identity)
    assert door.refresh(attached) is None
    for made in (attached, policy, inline, role):
        door.destroy(made)
        assert door.refresh(made) is None


def test_drift_of_a_trust_policy(door: Door, session: Any) -> None:
    inputs = {"name": "drifting", "assumeRolePolicy": TRUST}
    held = door.up(door.held(ROLE), inputs)
    other = document("sts:AssumeRole", principal="ec2.amazonaws.com")
    session.client("iam").update_assume_role_policy(RoleName="drifting", PolicyDocument=other)
    seen = door.refresh(held)
    assert seen is not None
    assert door.preview(seen, inputs).changes == {"assumeRolePolicy": "update"}
    door.settled(door.up(seen, inputs), inputs)
    door.gone(held)
