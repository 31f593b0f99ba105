"""Would a rollout change the instance type of a variant that is scaled? UpdateEndpoint refuses that, so it is said before one is asked for.

Source: the SageMaker developer guide, "Update endpoints that use auto scaling". The scalable target is Pulumi's, and no release may take
it away: a person does, for the one redeploy that changes the type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import PreflightError

if TYPE_CHECKING:
    from infra.outputs import EnvironmentOutputs

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def check(session: Any, outputs: EnvironmentOutputs) -> str | None:
    """Refuse a change of type under a scalable target; say why it can't be told, or None.

    Raises:
        PreflightError: with the procedure that changes the type.
    """
    try:
        live = _live_type(session.client("sagemaker"), outputs)
        if live in (None, outputs.serving.instance_type) or not _is_scaled(session.client("application-autoscaling"), outputs):
            return None
    except (ClientError, BotoCoreError) as error:
        return f"it could not be checked whether autoscaling lets the instance type change: {error}"
    raise PreflightError(
        f"the live fleet is of {live}, the environment now says {outputs.serving.instance_type}, and SageMaker changes no instance type "
        f"while Application Auto Scaling scales the variant",
        where=f"endpoint {outputs.endpoint.name}",
        remedy="Nothing was started. Set the type back, or change it in three steps:\n"
        f"    aws application-autoscaling deregister-scalable-target --service-namespace sagemaker"
        f" --resource-id {_resource(outputs)} --scalable-dimension {_DIMENSION} --region {outputs.region}\n"
        f"    lockstep redeploy {outputs.environment}\n"
        f"    pulumi up -s {outputs.environment} --refresh",
    )


def _resource(outputs: EnvironmentOutputs) -> str:
    return f"endpoint/{outputs.endpoint.name}/variant/{outputs.serving.variant_name}"


def _live_type(client: Any, outputs: EnvironmentOutputs) -> str | None:
    described = client.describe_endpoint(EndpointName=outputs.endpoint.name)
    config = client.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    types = {variant["VariantName"]: variant.get("InstanceType") for variant in config["ProductionVariants"]}
    return types.get(outputs.serving.variant_name)


def _is_scaled(client: Any, outputs: EnvironmentOutputs) -> bool:
    found = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[_resource(outputs)], ScalableDimension=_DIMENSION)
    return bool(found["ScalableTargets"])
