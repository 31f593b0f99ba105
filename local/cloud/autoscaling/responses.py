"""Requests to Application Auto Scaling: SageMaker variants are ours, other namespaces moto's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from local.cloud.aws_errors import CloudError

from . import scaler_of
from .backend import Scaling

Operation = Callable[[dict[str, Any]], dict[str, Any]]


class AutoScalingResponse(ApplicationAutoScalingResponse):  # type: ignore[misc]
    """Hands requests about SageMaker to `Scaling`."""

    @property
    def scaling(self) -> Scaling:
        return scaler_of().of(self.current_account, self.region)

    def register_scalable_target(self) -> str:
        return self._ours(self.scaling.register) or super().register_scalable_target()

    def describe_scalable_targets(self) -> str:
        return self._ours(self.scaling.describe_targets) or super().describe_scalable_targets()

    def deregister_scalable_target(self) -> str:
        return self._ours(self.scaling.deregister) or super().deregister_scalable_target()

    def put_scaling_policy(self) -> str:
        return self._ours(self.scaling.put_policy) or super().put_scaling_policy()

    def describe_scaling_policies(self) -> str:
        return self._ours(self.scaling.describe_policies) or super().describe_scaling_policies()

    def delete_scaling_policy(self) -> str:
        return self._ours(self.scaling.delete_policy) or super().delete_scaling_policy()

    def describe_scaling_activities(self) -> str:
        return self._ours(self.scaling.describe_activities) or json.dumps({"ScalingActivities": []})

    def list_tags_for_resource(self) -> str:
        return json.dumps({"Tags": self._tags()})

    def tag_resource(self) -> str:
        self._tags().update(self._given()["Tags"])
        return "{}"

    def untag_resource(self) -> str:
        tags = self._tags()
        for key in self._given()["TagKeys"]:
            tags.pop(key, None)
        return "{}"

    def _ours(self, operation: Operation) -> str:
        """The answer of our operation, or "" for a namespace that is moto's."""
        given = self._given()
        return json.dumps(operation(given)) if given.get("ServiceNamespace") == "sagemaker" else ""

    def _given(self) -> dict[str, Any]:
        return {k: v for k, v in json.loads(self.body or "{}").items() if v is not None}

    def _tags(self) -> dict[str, str]:
        arn = self._given()["ResourceARN"]
        tags = self.scaling.tags(arn)
        if tags is None:
            raise CloudError("ResourceNotFoundException", f"The resource {arn} was not found.")
        return tags
