"""The model registry: versions, approval, tokens, listing, policies, deletion, and the events of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from tests.cloud.aws import REGION, Aws


@pytest.fixture
def sagemaker(cloud: Cloud, account: str) -> Any:
    client = cloud.session(account, REGION).client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="mortgage", Tags=[{"Key": "environment", "Value": "dev"}])
    return client


def create(sagemaker: Any, **changes: Any) -> str:
    request = {
        "ModelPackageGroupName": "mortgage",
        "InferenceSpecification": {
            "Containers": [{"Image": "i@sha256:0", "ModelDataUrl": "s3://b/m.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "CustomerMetadataProperties": {"workload": "mortgage"},
        **changes,
    }
    arn: str = sagemaker.create_model_package(**request)["ModelPackageArn"]
    return arn


def refused(call: Any, code: str, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def test_a_new_version_waits_for_approval(sagemaker: Any, account: str) -> None:
    arn = create(sagemaker)
    assert arn == f"arn:aws:sagemaker:{REGION}:{account}:model-package/mortgage/1"
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["ModelPackageStatus"] == "Completed"
    assert found["ModelPackageVersion"] == 1
    assert found["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == "s3://b/m.tar.gz"
    assert found["CreatedBy"]["IamIdentity"]["Arn"] == f"arn:aws:iam::{account}:root"


def test_a_source_identity_stays_and_stands_in_what_its_session_makes(cloud: Cloud, account: str) -> None:
    aws = Aws(account, cloud.session(account, REGION).client)
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": ["sts:AssumeRole"]}]}
    role = aws("iam").create_role(RoleName="plain", AssumeRolePolicyDocument=json.dumps(may))["Role"]["Arn"]
    refused(aws("sts").assume_role, "AccessDenied", RoleArn=role, RoleSessionName="me", SourceIdentity="ann")
    may["Statement"][0]["Action"] += ["sts:SetSourceIdentity"]
    role = aws("iam").create_role(RoleName="named", AssumeRolePolicyDocument=json.dumps(may))["Role"]["Arn"]
    answer = aws("sts").assume_role(RoleArn=role, RoleSessionName="me", SourceIdentity="ann")
    assert answer["SourceIdentity"] == "ann"
    session = aws.session_of(answer["Credentials"])
    refused(session("sts").assume_role, "AccessDenied", RoleArn=role, RoleSessionName="me", SourceIdentity="bob")
    again = aws.session_of(session("sts").assume_role(RoleArn=role, RoleSessionName="again")["Credentials"])
    again("sagemaker").create_model_package_group(ModelPackageGroupName="by-ann")
    made = aws("sagemaker").describe_model_package_group(ModelPackageGroupName="by-ann")["CreatedBy"]["IamIdentity"]
    assert (made["SourceIdentity"], made["PrincipalId"].partition(":")[2]) == ("ann", "again")


def test_a_client_token_makes_one_version(sagemaker: Any) -> None:
    first = create(sagemaker, ClientToken="token")
    assert create(sagemaker, ClientToken="token") == first
    assert create(sagemaker, ClientToken="other").endswith("/2")
    with pytest.raises(ClientError, match="ConflictException"):
        create(sagemaker, ClientToken="token", ModelApprovalStatus="Approved")


def test_version_numbers_are_not_given_twice(sagemaker: Any) -> None:
    sagemaker.delete_model_package(ModelPackageName=create(sagemaker))
    assert create(sagemaker).endswith("/2")


@pytest.mark.parametrize(
    "changes", [{"ModelApprovalStatus": "Perhaps"}, {"Tags": [{"Key": "a", "Value": "b"}]}, {"ModelPackageGroupName": "none"}]
)
def test_bad_versions_are_refused(sagemaker: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        create(sagemaker, **changes)
    assert sagemaker.list_model_packages(ModelPackageGroupName="mortgage")["ModelPackageSummaryList"] == []


def test_an_update_changes_what_it_names(sagemaker: Any) -> None:
    arn = create(sagemaker)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="seen")
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"gates": "passed"})
    sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle={"Stage": "staging", "StageStatus": "released"})
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["ApprovalDescription"] == "seen"
    assert found["CustomerMetadataProperties"] == {"workload": "mortgage", "gates": "passed"}
    assert found["ModelLifeCycle"] == {"Stage": "staging", "StageStatus": "released"}
    assert found["LastModifiedTime"] >= found["CreationTime"]
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["gates"])
    assert sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"] == {"workload": "mortgage"}
    refused(sagemaker.update_model_package, "ValidationException", ModelPackageArn=arn, ModelApprovalStatus="Perhaps")


def test_listing_sorts_filters_and_pages(sagemaker: Any) -> None:
    for number in range(5):
        create(sagemaker, ModelApprovalStatus="Approved" if number % 2 else "Rejected")

    def versions(**request: Any) -> list[int]:
        pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName="mortgage", **request)
        return [package["ModelPackageVersion"] for page in pages for package in page["ModelPackageSummaryList"]]

    assert versions(PaginationConfig={"PageSize": 2}) == [1, 2, 3, 4, 5]
    assert versions(SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"PageSize": 2}) == [5, 4, 3, 2, 1]
    assert versions(ModelApprovalStatus="Approved") == [2, 4]
    assert len(sagemaker.list_model_packages(ModelPackageGroupName="mortgage", MaxResults=2)["ModelPackageSummaryList"]) == 2
    assert sagemaker.list_model_packages()["ModelPackageSummaryList"] == []  # unversioned ones, of which there are none
    assert len(sagemaker.list_model_packages(ModelPackageType="Versioned")["ModelPackageSummaryList"]) == 5
    refused(sagemaker.list_model_packages, "ValidationException", NextToken="not a token")


def test_a_group_goes_when_it_is_empty(sagemaker: Any, account: str) -> None:
    arn = create(sagemaker)
    refused(sagemaker.delete_model_package_group, "ConflictException", ModelPackageGroupName="mortgage")
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName="mortgage")
    message = refused(sagemaker.describe_model_package_group, "ValidationException", ModelPackageGroupName="mortgage")
    assert message == f"ModelPackageGroup arn:aws:sagemaker:{REGION}:{account}:model-package-group/mortgage does not exist."


def test_group_policies(sagemaker: Any) -> None:
    name = {"ModelPackageGroupName": "mortgage"}
    assert "Cannot find resource policy" in refused(sagemaker.get_model_package_group_policy, "ValidationException", **name)
    refused(sagemaker.put_model_package_group_policy, "ValidationException", ResourcePolicy="{", **name)
    text = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'
    sagemaker.put_model_package_group_policy(ResourcePolicy=text, **name)
    assert sagemaker.get_model_package_group_policy(**name)["ResourcePolicy"] == text
    sagemaker.delete_model_package_group_policy(**name)
    refused(sagemaker.delete_model_package_group_policy, "ValidationException", **name)


def test_tags_are_the_groups(sagemaker: Any) -> None:
    group = sagemaker.describe_model_package_group(ModelPackageGroupName="mortgage")["ModelPackageGroupArn"]
    sagemaker.add_tags(ResourceArn=group, Tags=[{"Key": "environment", "Value": "qa"}, {"Key": "owner", "Value": "ml"}])
    sagemaker.delete_tags(ResourceArn=group, TagKeys=["owner"])
    for arn in (group, create(sagemaker)):
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "environment", "Value": "qa"}]
    refused(sagemaker.list_tags, "ValidationException", ResourceArn=group + "2")


def test_groups_are_listed(cloud: Cloud, account: str) -> None:
    sagemaker = cloud.session(account, REGION).client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="contract", ModelPackageGroupDescription="of a test")
    found = sagemaker.describe_model_package_group(ModelPackageGroupName="contract")
    assert found["ModelPackageGroupStatus"] == "Completed"
    names = [group["ModelPackageGroupName"] for group in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]]
    assert names == ["contract"]
