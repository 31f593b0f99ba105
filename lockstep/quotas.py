"""Is there room for a second fleet beside the one that serves? Blue-green needs both at once, and an account's quota limits the sum.

It is asked with the caller's credentials, before a rollout is: the jobs' network has no way to Service Quotas. What it finds is true of
that moment alone. Should the quota be too small when the release step comes to it, UpdateEndpoint itself refuses; nothing has changed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import PreflightError

if TYPE_CHECKING:
    from infra.outputs import EnvironmentOutputs

SERVICE = "sagemaker"


@dataclass(frozen=True, kw_only=True)
class Room:
    """Instances of one type: how many the account may have behind endpoints, how many there are, how many a rollout adds for a while."""

    instance_type: str
    quota: float
    used: int
    added: int

    @property
    def is_enough(self) -> bool:
        return self.used + self.added <= self.quota


def quota_name(instance_type: str) -> str:
    """As Service Quotas names it; codes differ by type and are nowhere listed, so the name is looked for."""
    return f"{instance_type} for endpoint usage"


def check(session: Any, outputs: EnvironmentOutputs) -> str | None:
    """Refuse where there is no room; say why it can't be told, or None.

    Raises:
        PreflightError: the second fleet would exceed the quota.
    """
    try:
        room = look(session, outputs)
    except (ClientError, BotoCoreError) as error:
        return f"it could not be checked whether the quota leaves room for a second fleet: {error}"
    name = quota_name(outputs.serving.instance_type)
    if room is None:
        return f"it could not be checked whether there is room for a second fleet: Service Quotas knows no {name!r}"
    if not room.is_enough:
        raise PreflightError(
            f"no room for a second fleet: the quota {name!r} is {room.quota:g}, {room.used} are in use, the rollout adds {room.added}",
            where=f"account {outputs.account_id}, {outputs.region}",
            remedy="Ask for more in Service Quotas, free instances of other endpoints, or take a smaller fleet. Nothing was started.",
        )
    return None


def look(session: Any, outputs: EnvironmentOutputs) -> Room | None:
    """The room as it is now; None where there is no such quota."""
    quota = _quota(session.client("service-quotas"), quota_name(outputs.serving.instance_type))
    if quota is None:
        return None
    sagemaker, used, live = session.client("sagemaker"), 0, 0
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for endpoint in page["Endpoints"]:
            name = endpoint["EndpointName"]
            count = _instances(sagemaker, name, outputs.serving.instance_type)
            used += count
            if name == outputs.endpoint.name:
                live = count
    added = max(live, outputs.serving.instance_count)
    return Room(instance_type=outputs.serving.instance_type, quota=quota, used=used, added=added)


def _quota(client: Any, name: str) -> float | None:
    """The value that holds in the account; AWS's default where the account has none of its own."""
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode=SERVICE, PaginationConfig={"PageSize": 100}):
            for quota in page["Quotas"]:
                if quota["QuotaName"] == name and "Value" in quota:
                    return float(quota["Value"])
    return None


def _instances(client: Any, endpoint: str, instance_type: str) -> int:
    """Instances of a type behind an endpoint, those of an update that is under way as well."""
    described = client.describe_endpoint(EndpointName=endpoint)
    fleets = [described, described.get("PendingDeploymentSummary") or {}]
    total = 0
    for fleet in fleets:
        if not fleet.get("EndpointConfigName"):
            continue
        config = client.describe_endpoint_config(EndpointConfigName=fleet["EndpointConfigName"])
        types = {variant["VariantName"]: variant.get("InstanceType") for variant in config["ProductionVariants"]}
        for variant in fleet.get("ProductionVariants") or []:
            if types.get(variant["VariantName"]) == instance_type:
                total += max(variant.get("CurrentInstanceCount") or 0, variant.get("DesiredInstanceCount") or 0)
    return total
