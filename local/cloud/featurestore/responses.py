"""Requests about feature groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

if TYPE_CHECKING:
    from local.cloud.sagemaker.backend import SageMakerBackend


class FeatureGroupResponses:
    """Operations on feature groups."""

    params: dict[str, Any]
    if TYPE_CHECKING:

        @property
        def sagemaker_backend(self) -> SageMakerBackend: ...

    def create_feature_group(self) -> ActionResult:
        return ActionResult({"FeatureGroupArn": self.sagemaker_backend.create_features(self.params)})

    def describe_feature_group(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.describe_features(self.params["FeatureGroupName"]))

    def update_feature_group(self) -> ActionResult:
        return ActionResult({"FeatureGroupArn": self.sagemaker_backend.update_features(self.params)})

    def delete_feature_group(self) -> ActionResult:
        self.sagemaker_backend.delete_features(self.params["FeatureGroupName"])
        return EmptyResult()

    def list_feature_groups(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.list_features(self.params))
