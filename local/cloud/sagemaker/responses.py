"""Requests to SageMaker, composed of its parts as the backend is."""

from __future__ import annotations

from moto.sagemaker.responses import SageMakerResponse as MotoSageMakerResponse

from local.cloud.jobs.responses import JobResponses
from local.cloud.sagemaker.backend import SageMakerBackend, backends


class SageMakerResponse(
    JobResponses,
    MotoSageMakerResponse,
):
    """Parses a request, asks the backend, writes the answer."""

    @property
    def sagemaker_backend(self) -> SageMakerBackend:
        return backends[self.current_account][self.region]
