"""Requests to ECR."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from local.cloud import context
from local.cloud.ecr.backend import EcrBackend, backends


class EcrResponse(ECRResponse):
    """moto's, on the backend that keeps layers."""

    @property
    def ecr_backend(self) -> EcrBackend:
        backend: EcrBackend = backends[self.current_account][self.region]
        return backend

    def get_download_url_for_layer(self) -> ActionResult:
        return ActionResult(
            self.ecr_backend.download_url(self._get_param("repositoryName"), self._get_param("layerDigest"), self._get_param("registryId"))
        )

    def get_authorization_token(self) -> ActionResult:
        answer = super().get_authorization_token()
        for entry in answer.result["authorizationData"]:
            entry["expiresAt"] = context.current().clock.time() + 12 * 3600
        return answer
