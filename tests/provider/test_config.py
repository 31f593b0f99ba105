"""The provider's own configuration, and functions."""

from __future__ import annotations

import json
import socket
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from local.provider.wire import encode_struct
from tests.provider.conftest import ACCOUNT, REGION
from tests.provider.door import Door


def test_an_account_that_is_not_allowed_is_refused(fresh_door: Any) -> None:
    with pytest.raises(grpc.RpcError, match=f"AWS account ID not allowed: {ACCOUNT}. Work with credentials of 222222222222"):
        fresh_door().configure(region=REGION, allowedAccountIds='["222222222222"]')
    with pytest.raises(grpc.RpcError, match=f"AWS account ID not allowed: {ACCOUNT}"):
        fresh_door().configure(region=REGION, forbiddenAccountIds=f'["{ACCOUNT}"]')


def test_a_cloud_that_is_not_running_is_named_with_how_to_start_it(fresh_door: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        silent = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(grpc.RpcError, match=r"Could not connect.*lockstep cloud up"):
            fresh_door(AWS_ENDPOINT_URL=silent).configure(region=REGION)


def test_a_role_that_cannot_be_assumed_is_named(fresh_door: Any) -> None:
    with pytest.raises(grpc.RpcError, match="Cannot assume IAM Role arn:aws:iam::111111111111:role/nobody"):
        fresh_door().configure(region=REGION, assumeRoles='[{"roleArn": "arn:aws:iam::111111111111:role/nobody"}]')


def test_missing_and_wrong_configuration(fresh_door: Any) -> None:
    def failures(door: Door, **news: Any) -> dict[str, str]:
        answer = door.stub.CheckConfig(
            provider_pb2.CheckRequest(urn="urn:pulumi:d::p::pulumi:providers:aws::aws", news=encode_struct(news))
        )
        return {f.property: f.reason for f in answer.failures}

    assert "Missing region" in failures(fresh_door(AWS_REGION=""))["region"]
    assert "Invalid AWS Region" in failures(fresh_door(), region="us-east")["region"]
    assert "Invalid AWS Region: us-east-9" in failures(fresh_door(), region="us-east-9")["region"]
    assert failures(fresh_door(), region="us-east-9", skipRegionValidation="true") == {}
    assert "did you mean allowedAccountIds" in failures(fresh_door(), region=REGION, allowedAccountId="[]")["allowedAccountId"]
    assert "12 digits" in failures(fresh_door(), region=REGION, allowedAccountIds='["12"]')["allowedAccountIds"]
    assert failures(fresh_door(), region=REGION, allowedAccountIds=f'["{ACCOUNT}"]') == {}


def test_default_tags_reach_every_resource_and_change_in_place(fresh_door: Any, door: Door) -> None:
    held = door.up(door.held("aws:sns/topic:Topic"), {"name": "tagged", "tags": {"owner": "me"}})
    assert held["tagsAll"] == {"environment": "dev", "owner": "me"}
    other = fresh_door()
    other.configure(region=REGION, defaultTags=json.dumps({"tags": {"environment": "prod"}}))
    planned = other.preview(held, {"name": "tagged", "tags": {"owner": "me"}})
    assert planned.changes == {"tagsAll.environment": "update"}
    held = other.up(held, {"name": "tagged", "tags": {"owner": "me"}})
    assert held["tagsAll"] == {"environment": "prod", "owner": "me"}
    other.gone(held)


def test_functions(door: Door) -> None:
    assert door.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT
    assert door.invoke("aws:index/getRegion:getRegion")["region"] == REGION
    assert door.invoke("aws:index/getPartition:getPartition")["dnsSuffix"] == "amazonaws.com"
    assert door.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", state="available")["names"][:2] == [
        "us-east-1a",
        "us-east-1b",
    ]
    principal = [{"type": "Service", "identifiers": ["ec2.amazonaws.com"]}]
    answer = door.invoke(
        "aws:iam/getPolicyDocument:getPolicyDocument", statements=[{"actions": ["sts:AssumeRole"], "principals": principal}]
    )
    assert json.loads(answer["json"])["Statement"] == [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ]
    with pytest.raises(grpc.RpcError, match="does not have the function aws:ec2/getAmi:getAmi"):
        door.invoke("aws:ec2/getAmi:getAmi")
