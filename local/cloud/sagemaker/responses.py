"""Requests to SageMaker, composed of its parts as the backend is."""

from __future__ import annotations

from moto.sagemaker.responses import SageMakerResponse as MotoSageMakerResponse

from local.cloud.endpoints.responses import EndpointResponses
from local.cloud.featurestore.responses import FeatureGroupResponses
from local.cloud.jobs.responses import JobResponses
from local.cloud.pipelines.responses import PipelineResponses
from local.cloud.registry.responses import RegistryResponses
from local.cloud.sagemaker.backend import SageMakerBackend, backends
from local.cloud.sagemaker.tag_responses import TagResponses


class SageMakerResponse(
    RegistryResponses,
    FeatureGroupResponses,
    TagResponses,
    PipelineResponses,
    JobResponses,
    EndpointResponses,
    MotoSageMakerResponse,
):
    """Parses a request, asks the backend, writes the answer."""

    @property
    def sagemaker_backend(self) -> SageMakerBackend:  # type: ignore[override]
        backend: SageMakerBackend = backends[self.current_account][self.region]
        return backend
