"""Every call of a role is asked for its rights: which side must allow, in whose words it is refused, and what stays free."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from local.cloud.server import running
from tests.cloud.aws import ACCOUNT, OTHER, REGION, fresh

TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
PREFIX = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def deny(actions: str | list[str], resource: str = "*", **more: Any) -> dict[str, Any]:
    return {**allow(actions, resource, **more), "Effect": "Deny"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("cloud"), speed=100.0, enforce_iam=True) as made:
        yield made


class Role:
    """A role of the account with the given rights, and its clients."""

    def __init__(self, cloud: Cloud, *statements: dict[str, Any], boundary: list[dict[str, Any]] | None = None) -> None:
        iam = cloud.session(ACCOUNT, REGION).client("iam")
        self.name = fresh("role")
        extra = {}
        if boundary is not None:
            extra["PermissionsBoundary"] = iam.create_policy(PolicyName=fresh("b"), PolicyDocument=policy(*boundary))["Policy"]["Arn"]
        self.arn: str = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=policy(TRUST), **extra)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=self.name, PolicyName="own", PolicyDocument=policy(*statements))
        self._session = cloud.session(ACCOUNT, REGION, self.arn)

    def __call__(self, service: str) -> Any:
        return self._session.client(service)


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str, int]:
    """Code, message and HTTP status of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_role_without_rights_may_ask_who_it_is_and_nothing_else(cloud: Cloud) -> None:
    role = Role(cloud)
    assert role("sts").get_caller_identity()["Account"] == ACCOUNT
    user = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{role.name}/SageMaker is not authorized to perform:"

    def why(action: str) -> str:
        return f"because no identity-based policy allows the {action} action"

    assert refused(role("sagemaker").describe_model, ModelName="m") == (
        "AccessDeniedException",
        f"{user} sagemaker:DescribeModel on resource: {PREFIX}:model/m {why('sagemaker:DescribeModel')}",
        400,
    )
    assert refused(role("cloudwatch").describe_alarms)[::2] == ("AccessDenied", 403)
    assert refused(role("iam").list_roles) == ("AccessDenied", f"{user} iam:ListRoles on resource: * {why('iam:ListRoles')}", 403)
    assert refused(role("ec2").describe_vpcs) == (
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. {user} ec2:DescribeVpcs on resource: * {why('ec2:DescribeVpcs')}",
        403,
    )
    assert refused(role("s3").list_buckets)[::2] == ("AccessDenied", 403)
    assert refused(role("dynamodb").list_tables)[::2] == ("AccessDeniedException", 400)
    assert refused(role("sns").list_topics)[::2] == ("AuthorizationError", 403)
    runtime = refused(role("sagemaker-runtime").invoke_endpoint, EndpointName="e", Body=b"x")
    assert runtime[::2] == ("AccessDeniedException", 403)
    assert f"sagemaker:InvokeEndpoint on resource: {PREFIX}:endpoint/e because" in runtime[1]


def test_the_boundary_and_a_deny_are_named(cloud: Cloud) -> None:
    bounded = Role(cloud, allow("sagemaker:*"), boundary=[allow("s3:*"), deny("sagemaker:ListModels")])("sagemaker")
    assert refused(bounded.list_endpoints)[1].endswith("because no permissions boundary allows the sagemaker:ListEndpoints action")
    assert refused(bounded.list_models)[1].endswith("with an explicit deny in a permissions boundary")
    denying = Role(cloud, allow("sagemaker:*"), deny("sagemaker:ListModels"))("sagemaker")
    assert denying.list_endpoints()["Endpoints"] == []
    assert refused(denying.list_models)[1].endswith("with an explicit deny in an identity-based policy")


def test_conditions_look_at_the_request(cloud: Cloud) -> None:
    in_network = deny("sagemaker:CreateModel", Condition={"Null": {"sagemaker:VpcSubnets": "true"}})
    mine = {"StringEquals": {"aws:RequestTag/environment": "dev"}}
    role = Role(cloud, allow(["sagemaker:CreateModel", "iam:PassRole"]), in_network, allow("sagemaker:AddTags", Condition=mine))
    model: dict[str, Any] = {"PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": role.arn}
    network = {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
    assert "explicit deny" in refused(role("sagemaker").create_model, ModelName=fresh("m"), **model)[1]
    tags = [{"Key": "environment", "Value": "prod"}]
    assert "sagemaker:AddTags" in refused(role("sagemaker").create_model, ModelName=fresh("m"), Tags=tags, **model, **network)[1]
    role("sagemaker").create_model(ModelName=fresh("m"), Tags=[{**tags[0], "Value": "dev"}], **model, **network)


def test_a_role_is_passed_to_the_service_that_may_have_it(cloud: Cloud) -> None:
    to = Role(cloud)
    for service, passes in (("sagemaker.amazonaws.com", True), ("lambda.amazonaws.com", False)):
        passing = allow("iam:PassRole", to.arn, Condition={"StringEquals": {"iam:PassedToService": service}})
        role = Role(cloud, allow("sagemaker:CreateModel"), passing)
        request = {"ModelName": fresh("m"), "PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": to.arn}
        if passes:
            role("sagemaker").create_model(**request)
        else:
            code, message, _ = refused(role("sagemaker").create_model, **request)
            assert (code, message.partition("perform: ")[2].partition(" because")[0]) == (
                "AccessDeniedException",
                f"iam:PassRole on resource: {to.arn}",
            )
    foreign = f"arn:aws:iam::{OTHER}:role/theirs"
    everything = Role(cloud, allow("*"))
    answer = refused(everything("sagemaker").create_model, ModelName="m", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=foreign)
    assert answer[:2] == ("AccessDeniedException", "Cross-account pass role is not allowed.")


def test_within_an_account_either_side_s_allow_is_enough(cloud: Cloud) -> None:
    s3 = cloud.session(ACCOUNT, REGION).client("s3")
    bucket = fresh("bucket")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    named, bounded = Role(cloud), Role(cloud, boundary=[allow("sagemaker:*")])
    by_identity = Role(cloud, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    principals = [role.arn for role in (named, bounded)]
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": principals})))
    assert named("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
    assert by_identity("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
    assert "because no permissions boundary allows" in refused(bounded("s3").get_object, Bucket=bucket, Key="k")[1]
    # A policy that names the account leaves it to the policies of its roles.
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal=account)))
    assert "because no identity-based policy allows" in refused(named("s3").get_object, Bucket=bucket, Key="k")[1]
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(deny("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal="*")))
    assert "explicit deny in a resource-based policy" in refused(by_identity("s3").get_object, Bucket=bucket, Key="k")[1]


def test_from_another_account_both_sides_must_allow(cloud: Cloud) -> None:
    owner = cloud.session(OTHER, REGION).client("s3")
    bucket = fresh("theirs")
    owner.create_bucket(Bucket=bucket)
    owner.put_object(Bucket=bucket, Key="k", Body=b"v")
    with_right, without = Role(cloud, allow(["s3:GetObject", "s3:ListBucket"])), Role(cloud)
    assert "no resource-based policy allows" in refused(with_right("s3").get_object, Bucket=bucket, Key="k")[1]
    let_in = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": [with_right.arn, without.arn]})
    owner.put_bucket_policy(Bucket=bucket, Policy=policy(let_in))
    assert with_right("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
    assert "no identity-based policy allows" in refused(without("s3").get_object, Bucket=bucket, Key="k")[1]
    # Who may not list is not told that an object is not there.
    code, message, status = refused(with_right("s3").get_object, Bucket=bucket, Key="absent")
    assert (code, status, "s3:ListBucket" in message) == ("AccessDenied", 403, True)


def test_who_may_list_learns_that_an_object_is_absent(cloud: Cloud) -> None:
    s3 = cloud.session(ACCOUNT, REGION).client("s3")
    bucket = fresh("bucket")
    s3.create_bucket(Bucket=bucket)
    reader, lister = Role(cloud, allow("s3:GetObject")), Role(cloud, allow(["s3:GetObject", "s3:ListBucket"]))
    assert refused(reader("s3").get_object, Bucket=bucket, Key="k")[::2] == ("AccessDenied", 403)
    assert refused(reader("s3").head_object, Bucket=bucket, Key="k")[::2] == ("403", 403)
    assert refused(lister("s3").get_object, Bucket=bucket, Key="k")[::2] == ("NoSuchKey", 404)


def test_a_key_s_policy_must_allow_or_leave_it_to_the_account(cloud: Cloud) -> None:
    kms = cloud.session(ACCOUNT, REGION).client("kms")
    named, able, neither = Role(cloud), Role(cloud, allow("kms:*")), Role(cloud)
    own = kms.create_key(Policy=policy(allow("kms:*", Principal={"AWS": named.arn})))["KeyMetadata"]["Arn"]
    left = kms.create_key(Policy=policy(allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})))["KeyMetadata"]["Arn"]
    assert named("kms").describe_key(KeyId=own)["KeyMetadata"]["Arn"] == own
    assert "no resource-based policy allows the kms:DescribeKey" in refused(able("kms").describe_key, KeyId=own)[1]
    assert able("kms").describe_key(KeyId=left)["KeyMetadata"]["Arn"] == left
    assert "no identity-based policy allows the kms:DescribeKey" in refused(neither("kms").describe_key, KeyId=left)[1]


def test_an_encrypted_object_needs_its_key(cloud: Cloud) -> None:
    session = cloud.session(ACCOUNT, REGION)
    s3, key = session.client("s3"), session.client("kms").create_key()["KeyMetadata"]["Arn"]
    bucket = fresh("bucket")
    s3.create_bucket(Bucket=bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    whole = Role(cloud, allow("s3:*"), allow("kms:*", Condition=through_s3))
    half = Role(cloud, allow("s3:*"), allow("kms:GenerateDataKey"))
    whole("s3").put_object(Bucket=bucket, Key="k", Body=b"v")
    assert whole("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
    assert "kms:DescribeKey" in refused(whole("kms").describe_key, KeyId=key)[1]
    half("s3").put_object(Bucket=bucket, Key="k", Body=b"v")
    code, message, _ = refused(half("s3").get_object, Bucket=bucket, Key="k")
    assert (code, f"kms:Decrypt on resource: {key} because no identity-based policy allows" in message) == ("AccessDenied", True)
    # To join the parts of an upload S3 reads them again.
    assert "kms:Decrypt" in refused(half("s3").create_multipart_upload, Bucket=bucket, Key="k")[1]


def test_a_role_is_taken_on_by_whom_it_names_or_whom_the_account_lets(cloud: Cloud) -> None:
    able, named, neither = Role(cloud, allow("sts:AssumeRole")), Role(cloud), Role(cloud)
    iam = cloud.session(ACCOUNT, REGION).client("iam")

    def trusting(principal: str) -> str:
        trust = policy({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"})
        return str(iam.create_role(RoleName=fresh("to"), AssumeRolePolicyDocument=trust)["Role"]["Arn"])

    account, one = trusting(f"arn:aws:iam::{ACCOUNT}:root"), trusting(named.arn)
    for role, target in ((able, account), (named, one)):
        taken = role("sts").assume_role(RoleArn=target, RoleSessionName="me")["AssumedRoleUser"]["Arn"]
        assert f"assumed-role/{target.rsplit('/')[-1]}/me" in taken
    for role, target in ((neither, account), (able, one)):
        code, message, _ = refused(role("sts").assume_role, RoleArn=target, RoleSessionName="me")
        assert (code, f"sts:AssumeRole on resource: {target}" in message) == ("AccessDenied", True)


def test_a_session_policy_is_not_passed_over_in_silence(cloud: Cloud) -> None:
    sts = cloud.session(ACCOUNT, REGION).client("sts")
    assert refused(sts.assume_role, RoleArn=Role(cloud).arn, RoleSessionName="me", Policy=policy(allow("s3:*")))[0] == "NotImplemented"


def test_an_operation_that_nobody_knows_a_right_for_is_refused_to_roles(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    role = Role(cloud, allow("*"))
    assert refused(role("dynamodb").execute_statement, Statement="SELECT 1 FROM t")[0] == "NotImplemented"
    assert "dynamodb:ExecuteStatement, authorised by an action that AWS does not name" in caplog.text
    bucket = fresh("bucket")
    cloud.session(ACCOUNT, REGION).client("s3").create_bucket(Bucket=bucket)
    assert refused(role("s3").rename_object, Bucket=bucket, Key="k", RenameSource="j")[0] == "NotImplemented"


def test_who_administers_is_not_asked(cloud: Cloud) -> None:
    assert cloud.session(ACCOUNT, REGION).client("dynamodb").list_tables()["TableNames"] == []


def test_rights_that_were_used_and_refused_are_told(cloud: Cloud) -> None:
    role = Role(cloud, allow("sagemaker:ListModels"))
    role("sagemaker").list_models()
    refused(role("sagemaker").describe_model, ModelName="m")
    told = cloud.rights.describe()
    assert told["used"][role.arn] == {"sagemaker:ListModels": ["*"]}
    assert told["refused"][role.arn] == {"sagemaker:DescribeModel": [f"{PREFIX}:model/m"]}


def test_without_enforcement_roles_are_free_in_their_account(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "enforce_iam", False)
    Role(cloud)("sagemaker").list_models()
