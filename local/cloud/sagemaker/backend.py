"""The backend of SageMaker, composed of its parts. Each part is one line in the list of bases; the first one that has a method answers."""

from __future__ import annotations

from moto.core.base_backend import BackendDict
from moto.sagemaker.models import SageMakerModelBackend

from local.cloud.endpoints.backend import EndpointOps
from local.cloud.featurestore.backend import FeatureGroupOps
from local.cloud.jobs.backend import JobOps
from local.cloud.pipelines.backend import PipelineOps
from local.cloud.registry.backend import RegistryOps
from local.cloud.sagemaker.base import SageMakerBase


class SageMakerBackend(
    RegistryOps,
    FeatureGroupOps,
    PipelineOps,
    JobOps,
    EndpointOps,
    SageMakerBase,
    SageMakerModelBackend,
):
    """SageMaker of one account and region."""


backends: BackendDict[SageMakerBackend] = BackendDict(SageMakerBackend, "sagemaker")
