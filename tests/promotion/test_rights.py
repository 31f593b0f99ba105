"""What the promotion role may do about approvals, by duty and boundary as Pulumi writes them, asked on every call."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from infra.boundary import boundary_document
from infra.config import load_all
from infra.documents import document
from infra.duties import KeyArns, permissions
from infra.site import Site
from local.cloud.server import running
from lockstep.context import stacks_folder
from pipelines.promotion import approval
from pipelines.promotion.people import Identity
from pipelines.promotion.seam import Aws


def test_the_promotion_role_takes_an_approval_back_but_neither_approves_nor_signs(tmp_path: Path) -> None:
    stacks = load_all(stacks_folder())
    site = Site.of(stacks["dev"], stacks)
    names, key = site.names, site.names.arn("kms", "key/any")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    with running(tmp_path, enforce_iam=True) as cloud:
        root = cloud.session(names.account_id, names.region)
        iam, registry = root.client("iam"), root.client("sagemaker")
        boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=boundary_document(site))["Policy"]["Arn"]
        role = iam.create_role(RoleName=names.role("promotion"), AssumeRolePolicyDocument=document([trust]), PermissionsBoundary=boundary)[
            "Role"
        ]["Arn"]
        rights = document(permissions(site, "promotion", KeyArns(data=key, artefacts=key, ledger=key, operations=key)))
        iam.put_role_policy(RoleName=names.role("promotion"), PolicyName="duty", PolicyDocument=rights)
        registry.create_model_package_group(ModelPackageGroupName=names.model_package_group)
        package = registry.create_model_package(ModelPackageGroupName=names.model_package_group)["ModelPackageArn"]
        aws = Aws(cloud.session(names.account_id, names.region, role), table="none")
        client = aws.client("sagemaker")
        for change in (
            {"ModelApprovalStatus": "Approved"},
            {"CustomerMetadataProperties": {approval.APPROVED: "x"}},
            {"ModelApprovalStatus": "Rejected", "CustomerMetadataProperties": {approval.REQUESTED: "x"}},
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                client.update_model_package(ModelPackageArn=package, **change)
        with pytest.raises(ClientError, match="AccessDenied"):
            client.create_model_package(ModelPackageGroupName=names.model_package_group, ModelApprovalStatus="Approved")
        aws.set_package_stage(package, stage="Release", status="Released", description="x")
        aws.void_approval(package, "void")
        described = registry.describe_model_package(ModelPackageName=package)
        assert (described["ModelApprovalStatus"], described["ModelLifeCycle"]["Stage"]) == ("Rejected", "Release")
        assert Identity.told(described["LastModifiedBy"], "").role_name == names.role("promotion")  # type: ignore[union-attr]
