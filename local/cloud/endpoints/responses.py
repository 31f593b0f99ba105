"""Requests about models, endpoint configs and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

if TYPE_CHECKING:
    from local.cloud.endpoints.backend import EndpointOps


class EndpointResponses:
    """Part of SageMaker's responses: hands the parsed request to the backend."""

    if TYPE_CHECKING:
        sagemaker_backend: EndpointOps

        def _get_params(self) -> dict[str, Any]: ...
        def _get_param(self, param_name: str, if_none: Any = None) -> Any: ...

    def create_model(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.create_model(self._given()))

    def describe_model(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.describe_model(self._get_param("ModelName")))

    def delete_model(self) -> ActionResult:
        self.sagemaker_backend.delete_model(self._get_param("ModelName"))
        return EmptyResult()

    def list_models(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.list_models(self._given()))

    def create_endpoint_config(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.create_endpoint_config(self._given()))

    def describe_endpoint_config(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.describe_endpoint_config(self._get_param("EndpointConfigName")))

    def delete_endpoint_config(self) -> ActionResult:
        self.sagemaker_backend.delete_endpoint_config(self._get_param("EndpointConfigName"))
        return EmptyResult()

    def list_endpoint_configs(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.list_endpoint_configs(self._given()))

    def create_endpoint(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.create_endpoint(self._given()))

    def describe_endpoint(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.describe_endpoint(self._get_param("EndpointName")))

    def update_endpoint(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.update_endpoint(self._given()))

    def update_endpoint_weights_and_capacities(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.update_endpoint_weights_and_capacities(self._given()))

    def delete_endpoint(self) -> ActionResult:
        self.sagemaker_backend.delete_endpoint(self._get_param("EndpointName"))
        return EmptyResult()

    def list_endpoints(self) -> ActionResult:
        return ActionResult(self.sagemaker_backend.list_endpoints(self._given()))

    def _given(self) -> dict[str, Any]:
        """The request's members that were sent, with an explicit null left out."""
        given: dict[str, Any] = _present(dict(self._get_params()))
        return given


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _present(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_present(v) for v in value]
    return value
