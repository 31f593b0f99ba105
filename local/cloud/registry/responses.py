"""Requests to the model registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

from local.cloud.aws_errors import CloudError

if TYPE_CHECKING:
    from local.cloud.sagemaker.backend import SageMakerBackend


class RegistryResponses:
    """Operations on model package groups and model packages."""

    params: dict[str, Any]
    if TYPE_CHECKING:

        @property
        def sagemaker_backend(self) -> SageMakerBackend: ...

    def create_model_package_group(self) -> ActionResult:
        return ActionResult({"ModelPackageGroupArn": self.sagemaker_backend.create_group(self.params)})

    def describe_model_package_group(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.describe_group(self.params["ModelPackageGroupName"]))

    def delete_model_package_group(self) -> ActionResult:
        self.sagemaker_backend.delete_group(self.params["ModelPackageGroupName"])
        return EmptyResult()

    def list_model_package_groups(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.list_groups(self.params))

    def put_model_package_group_policy(self) -> ActionResult:
        arn = self.sagemaker_backend.put_group_policy(self.params["ModelPackageGroupName"], self.params["ResourcePolicy"])
        return ActionResult({"ModelPackageGroupArn": arn})

    def get_model_package_group_policy(self) -> ActionResult:
        return ActionResult({"ResourcePolicy": self.sagemaker_backend.get_group_policy(self.params["ModelPackageGroupName"])})

    def delete_model_package_group_policy(self) -> ActionResult:
        self.sagemaker_backend.delete_group_policy(self.params["ModelPackageGroupName"])
        return EmptyResult()

    def create_model_package(self) -> ActionResult:
        return ActionResult({"ModelPackageArn": self.sagemaker_backend.create_package(self.params)})

    def describe_model_package(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.describe_package(self.params["ModelPackageName"]))

    def update_model_package(self) -> ActionResult:
        return ActionResult({"ModelPackageArn": self.sagemaker_backend.update_package(self.params)})

    def delete_model_package(self) -> ActionResult:
        self.sagemaker_backend.delete_package(self.params["ModelPackageName"])
        return EmptyResult()

    def list_model_packages(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.list_packages(self.params))

    def batch_describe_model_package(self) -> ActionResult:
        found: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for arn in self.params["ModelPackageArnList"]:
            try:
                found[arn] = self.sagemaker_backend.describe_package(arn)
            except CloudError as error:
                errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        return ActionResult({"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors})
