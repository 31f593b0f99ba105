"""What is asked of a model's execution role before an operation is accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, ParamValidationError

from local.cloud.containers.runtime import runtime_of
from local.cloud.iam.rights import alarm_needs, lacking
from local.cloud.sagemaker.base import validation

from .plan import alarms_of
from .records import ModelRecord

if TYPE_CHECKING:
    from local.cloud.context import Cloud


def check_data(cloud: Cloud, account: str, region: str, role: str | None, container: Mapping[str, Any]) -> None:
    """CreateModel: model data is looked for with the rights of the role."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    url = container.get("ModelDataUrl") or source.get("S3Uri")
    if role is None or not url:
        return
    place = urlsplit(url)
    s3 = runtime_of(cloud).client("s3", account, region, role)
    try:
        if source and source.get("CompressionType") != "Gzip":
            found = s3.list_objects_v2(Bucket=place.netloc, Prefix=place.path.lstrip("/"), MaxKeys=1)["KeyCount"] > 0
        else:
            found = bool(s3.head_object(Bucket=place.netloc, Key=place.path.lstrip("/")))
    except (ClientError, ParamValidationError):
        found = False
    if not found:
        raise validation(
            f'Could not access model data at {url}. Please ensure that the role "{role}" exists and that its trust relationship policy '
            'allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also ensure that the role has '
            f'"s3:GetObject" permissions and that the object is located in {region}. If your Model uses multiple models or '
            'uncompressed models, please ensure that the role has "s3:ListBucket" permission.'
        )


def check_alarms(cloud: Cloud, account: str, region: str, models: Iterable[ModelRecord], deployment: Mapping[str, Any] | None) -> None:
    """UpdateEndpoint: who serves must be able to look at the alarms that call a deployment off."""
    wanted = alarm_needs(alarms_of(deployment), account, region)
    for model in models:
        refused = lacking(cloud, model.given.get("ExecutionRoleArn"), region, wanted)
        if refused is not None:
            raise validation(f"The execution role of the model {model.name} can't look at the alarms of the deployment: {refused}")
