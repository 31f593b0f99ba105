"""Requests about tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

if TYPE_CHECKING:
    from local.cloud.sagemaker.backend import SageMakerBackend


class TagResponses:
    """AddTags, ListTags, DeleteTags."""

    params: dict[str, Any]
    if TYPE_CHECKING:

        @property
        def sagemaker_backend(self) -> SageMakerBackend: ...

    def add_tags(self) -> ActionResult:
        return ActionResult({"Tags": self.sagemaker_backend.add_tags(self.params["ResourceArn"], self.params["Tags"])})

    def list_tags(self) -> ActionResult:
        return ActionResult({"Tags": self.sagemaker_backend.tags_of(self.params["ResourceArn"])})

    def delete_tags(self) -> ActionResult:
        self.sagemaker_backend.delete_tags(self.params["ResourceArn"], self.params["TagKeys"])
        return EmptyResult()
