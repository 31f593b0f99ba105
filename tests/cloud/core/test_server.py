"""The server: one port, keep-alive, time on its answers, and clear refusals."""

from __future__ import annotations

import http.client
import json
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from local.cloud.accounts import BOOTSTRAP_ACCESS_KEY, BOOTSTRAP_SECRET_KEY
from local.cloud.context import Cloud
from local.cloud.server import running
from local.errors import LocalError, PortInUse
from tests.cloud.aws import ACCOUNT, OTHER, REGION, fresh


def connect(cloud: Cloud) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=10)


def test_one_connection_serves_many_requests(cloud: Cloud) -> None:
    connection = connect(cloud)
    connection.request("GET", "/_lockstep/health")
    first = connection.getresponse()
    first.read()
    socket = connection.sock
    connection.request("GET", "/_lockstep/clock")
    second = connection.getresponse()
    second.read()
    assert (first.status, second.status) == (200, 200)
    assert connection.sock is socket
    connection.close()


def test_the_date_is_the_clocks(cloud: Cloud) -> None:
    cloud.clock.set(advance=86400)
    answer = cloud.session(ACCOUNT, REGION).client("sts").get_caller_identity()
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(date - cloud.clock.now()) < timedelta(minutes=5)


def test_the_clock_moves_over_http(cloud: Cloud) -> None:
    connection = connect(cloud)

    def post(change: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection.request("POST", "/_lockstep/clock", json.dumps(change))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    before = cloud.clock.time()
    status, now = post({"speed": 2, "advance": 3600})
    assert status == 200
    assert now["speed"] == 2
    assert now["time"] >= before + 3600
    assert post({"advance": -1})[0] == 400
    assert post({"sped": 1}) == (400, {"error": "unknown field 'sped'", "remedy": "known are speed, offset and advance"})
    connection.close()


def test_a_port_in_use_is_refused_with_what_to_do(cloud: Cloud, tmp_path: Path) -> None:
    from local.cloud.http import Server

    port = urlsplit(cloud.url).port
    assert port is not None
    with pytest.raises(PortInUse, match=f"port {port} is in use") as caught:
        Server(lambda request: None, port)  # type: ignore[arg-type, return-value]
    assert "--port" in caught.value.remedy


def test_a_second_cloud_in_the_process_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="runs in this process already"), running(tmp_path / "second"):
        pass


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "name"),
    [
        ("sagemaker", "list_hubs", {}, "sagemaker:ListHubs"),
        ("ec2", "describe_fast_launch_images", {}, "ec2:DescribeFastLaunchImages"),
        ("braket", "search_jobs", {"filters": []}, "braket:SearchJobs"),
        (
            "cloudwatch",
            "get_insight_rule_report",
            {"RuleName": "x", "StartTime": 0, "EndTime": 1, "Period": 1},
            "cloudwatch:GetInsightRuleReport",
        ),
        ("kms", "derive_shared_secret", {"KeyId": "x", "KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x"}, "kms:DeriveSharedSecret"),
    ],
)
def test_what_is_missing_says_so_once_and_is_not_retried(
    cloud: Cloud, service: str, operation: str, arguments: dict[str, Any], name: str
) -> None:
    client = cloud.session(ACCOUNT, REGION).client(service)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "NotImplemented"
    assert answer["Error"]["Message"] == f"{name} is not part of the embedded cloud"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert answer["ResponseMetadata"].get("RetryAttempts", 0) == 0


def test_accounts_do_not_see_each_other(cloud: Cloud) -> None:
    for account in (ACCOUNT, OTHER):
        cloud.session(account, REGION).client("dynamodb").create_table(
            TableName=f"t{account}",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        )
    assert cloud.session(ACCOUNT, REGION).client("dynamodb").list_tables()["TableNames"] == [f"t{ACCOUNT}"]


def management(cloud: Cloud) -> Any:
    return boto3.client(
        "sts",
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=BOOTSTRAP_ACCESS_KEY,
        aws_secret_access_key=BOOTSTRAP_SECRET_KEY,
    )


def test_the_management_account_reaches_every_account(cloud: Cloud) -> None:
    answer = management(cloud).assume_role(
        RoleArn=f"arn:aws:iam::{OTHER}:role/OrganizationAccountAccessRole", RoleSessionName="someone", DurationSeconds=43200
    )
    made = answer["Credentials"]
    assert abs(made["Expiration"] - cloud.clock.now() - timedelta(hours=12)) < timedelta(minutes=5)
    client = boto3.client(
        "sts",
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )
    identity = client.get_caller_identity()
    assert identity["Account"] == OTHER
    assert identity["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/OrganizationAccountAccessRole/someone"
    cloud.clock.set(advance=43201)
    with pytest.raises(ClientError, match="ExpiredToken"):
        client.get_caller_identity()


def test_unknown_credentials_are_refused(cloud: Cloud) -> None:
    client = boto3.client(
        "s3", endpoint_url=cloud.url, region_name=REGION, aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x"
    )
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|InvalidAccessKeyId"):
        client.list_buckets()


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ({"AWS": f"arn:aws:iam::{OTHER}:root"}, True),
        ({"AWS": OTHER}, True),
        ({"AWS": "arn:aws:iam::333333333333:root"}, False),
        ({"Service": "sagemaker.amazonaws.com"}, False),
        ("*", True),
    ],
)
def test_a_role_is_assumed_by_whom_it_trusts(cloud: Cloud, principal: Any, allowed: bool) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
    name = fresh("trusting")
    iam = cloud.session(ACCOUNT, REGION).client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    sts = cloud.session(OTHER, REGION).client("sts")
    if allowed:
        assert sts.assume_role(RoleArn=role, RoleSessionName="me")["AssumedRoleUser"]["Arn"].startswith(
            f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/"
        )
    else:
        with pytest.raises(ClientError, match=r"AccessDenied.*is not authorized to perform: sts:AssumeRole on resource"):
            sts.assume_role(RoleArn=role, RoleSessionName="me")


@pytest.mark.parametrize("region", ["us-nowhere-9", "cn-north-1"])
@pytest.mark.parametrize(
    ("service", "operation", "arguments", "expected"),
    [
        ("sagemaker", "list_endpoints", {}, "InvalidSignatureException"),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "x", "Body": b""}, "InvalidSignatureException"),
        ("sts", "get_caller_identity", {}, "SignatureDoesNotMatch"),
        ("ec2", "describe_vpcs", {}, "SignatureDoesNotMatch"),
        ("s3", "list_buckets", {}, "AuthorizationHeaderMalformed"),
    ],
)
def test_a_region_that_is_not_there_is_refused_as_aws_refuses_it(
    cloud: Cloud, region: str, service: str, operation: str, arguments: dict[str, Any], expected: str
) -> None:
    keys = {"aws_access_key_id": BOOTSTRAP_ACCESS_KEY, "aws_secret_access_key": BOOTSTRAP_SECRET_KEY}
    client = boto3.client(service, endpoint_url=cloud.url, region_name=region, **keys)  # type: ignore[call-overload]
    with pytest.raises(ClientError, match=region) as refused:
        getattr(client, operation)(**arguments)
    assert refused.value.response["Error"]["Code"] == expected
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500


def test_what_is_named_in_a_region_that_is_not_there_is_not_found(cloud: Cloud) -> None:
    group = f"arn:aws:sagemaker:us-nowhere-9:{ACCOUNT}:model-package-group/models"
    with pytest.raises(ClientError) as refused:
        cloud.session(ACCOUNT, REGION).client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
