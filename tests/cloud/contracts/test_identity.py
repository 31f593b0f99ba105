"""STS, IAM and KMS: who one is, what roles hold, and keys that open what they closed."""

from __future__ import annotations

import json

import pytest

from tests.cloud.aws import Aws, fresh
from tests.cloud.contracts.waiting import code


def trust(account: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def test_a_caller_is_of_its_account(aws: Aws) -> None:
    identity = aws("sts").get_caller_identity()
    assert identity["Account"] == aws.account
    assert identity["Arn"] == f"arn:aws:iam::{aws.account}:root"


def test_a_role_that_is_assumed_is_who_calls(aws: Aws) -> None:
    role = aws("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=trust(aws.account))["Role"]["Arn"]
    assert role == f"arn:aws:iam::{aws.account}:role/deploy"
    answer = aws("sts").assume_role(RoleArn=role, RoleSessionName="someone")
    session = f"arn:aws:sts::{aws.account}:assumed-role/deploy/someone"
    assert answer["AssumedRoleUser"]["Arn"] == session
    identity = aws.session_of(answer["Credentials"])("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (aws.account, session)


def test_what_a_role_has_must_go_before_it(aws: Aws) -> None:
    iam, role = aws("iam"), {"RoleName": "jobs"}
    assert code(iam.get_role, **role) == "NoSuchEntity"
    iam.create_role(**role, AssumeRolePolicyDocument=trust(aws.account))
    assert code(iam.create_role, **role, AssumeRolePolicyDocument=trust(aws.account)) == "EntityAlreadyExists"
    iam.put_role_policy(**role, PolicyName="own", PolicyDocument=json.dumps(ALLOW_ALL))
    assert iam.get_role_policy(**role, PolicyName="own")["PolicyDocument"] == ALLOW_ALL
    policy = iam.create_policy(PolicyName="shared", PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    iam.attach_role_policy(**role, PolicyArn=policy)
    assert code(iam.delete_role, **role) == "DeleteConflict"
    iam.delete_role_policy(**role, PolicyName="own")
    iam.detach_role_policy(**role, PolicyArn=policy)
    iam.delete_role(**role)
    iam.delete_policy(PolicyArn=policy)
    assert code(iam.get_role, **role) == "NoSuchEntity"


def test_a_role_keeps_boundary_and_tags(aws: Aws) -> None:
    iam = aws("iam")
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    tags = [{"Key": "environment", "Value": "dev"}]
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(aws.account), PermissionsBoundary=boundary, Tags=tags)
    found = iam.get_role(RoleName="r")["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert found["Tags"] == tags
    assert found["AssumeRolePolicyDocument"] == json.loads(trust(aws.account))


@pytest.mark.parametrize("document", ["not a policy", '{"Version": "2012-10-17"}'])
def test_what_is_no_policy_is_refused(aws: Aws, document: str) -> None:
    assert code(aws("iam").create_policy, PolicyName="p", PolicyDocument=document) == "MalformedPolicyDocument"


def test_a_key_opens_what_it_closed(aws: Aws) -> None:
    kms = aws("kms")
    key, alias = kms.create_key()["KeyMetadata"], f"alias/{fresh('contract')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    closed = kms.encrypt(KeyId=alias, Plaintext=b"x", EncryptionContext={"bucket": "models"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=closed, EncryptionContext={"bucket": "models"})["Plaintext"] == b"x"
    assert code(kms.decrypt, CiphertextBlob=closed, EncryptionContext={"bucket": "other"}) == "InvalidCiphertextException"
    data = kms.generate_data_key(KeyId=key["Arn"], KeySpec="AES_256")
    assert len(data["Plaintext"]) == 32
    assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]


def test_life_of_a_key(aws: Aws) -> None:
    kms = aws("kms")
    place = {"KeyId": kms.create_key()["KeyMetadata"]["KeyId"]}
    assert kms.get_key_rotation_status(**place)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(**place)
    assert kms.get_key_rotation_status(**place)["KeyRotationEnabled"] is True
    kms.schedule_key_deletion(**place, PendingWindowInDays=7)
    found = kms.describe_key(**place)["KeyMetadata"]
    assert found["KeyState"] == "PendingDeletion"
    assert (found["DeletionDate"] - found["CreationDate"]).days in (6, 7)
    kms.cancel_key_deletion(**place)
    assert kms.describe_key(**place)["KeyMetadata"]["KeyState"] == "Disabled"
    assert code(kms.describe_key, KeyId="00000000-0000-0000-0000-000000000000") == "NotFoundException"
