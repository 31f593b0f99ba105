"""The quotas of one account and region, and what they leave room for.

A quota is named as AWS names it: "ml.m5.large for endpoint usage", one for each instance type of an endpoint. Its code is fixed here as it
is on AWS, but not the same: who wants a quota looks it up by its name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.utils import get_service_model
from moto.servicequotas.models import ServiceQuotasBackend

from local.cloud.aws_errors import CloudError

SERVICE = "sagemaker"
DEFAULT = 20.0
"""Instances of each type. AWS's defaults differ by type and age of the account, and are often smaller."""


class Quotas(ServiceQuotasBackend):
    """moto's quotas, which know VPC alone, and those of SageMaker's endpoints. `applied` holds what was asked for, by quota code."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.applied: dict[str, float] = {}

    def defaults(self, service: str) -> list[dict[str, Any]]:
        """All quotas of a service with AWS's default values."""
        if service != SERVICE:
            found: list[dict[str, Any]] = self.list_aws_default_service_quotas(service)
            return found
        return [self._quota(instance_type) for instance_type in instance_types()]

    def quotas(self, service: str) -> list[dict[str, Any]]:
        """All quotas of a service with the values that hold in this account."""
        return [{**quota, "Value": self.applied.get(quota["QuotaCode"], quota["Value"])} for quota in self.defaults(service)]

    def quota(self, service: str, code: str) -> dict[str, Any]:
        for quota in self.quotas(service):
            if quota["QuotaCode"] == code:
                return quota
        raise CloudError("NoSuchResourceException", "The request failed because the specified service quota does not exist.")

    def ask(self, service: str, code: str, value: float) -> dict[str, Any]:
        """A request for more, which is granted at once; on AWS people may have to look at it."""
        before = self.quota(service, code)
        if value <= before["Value"]:
            raise CloudError("IllegalArgumentException", f"The desired value {value:g} is not above the applied value {before['Value']:g}.")

        self.applied[code] = value
        return before

    def limit(self, instance_type: str) -> float:
        return float(self.applied.get(code_of(instance_type), DEFAULT))

    def check(self, used: Mapping[str, int], asked: Mapping[str, int]) -> None:
        """Both by instance type. ResourceLimitExceeded, in SageMaker's words, where the sum is more than a quota."""
        for instance_type, delta in asked.items():
            limit = self.limit(instance_type)
            if delta > 0 and used.get(instance_type, 0) + delta > limit:
                raise CloudError(
                    "ResourceLimitExceeded",
                    f"The account-level service limit '{name_of(instance_type)}' is {limit:.0f} Instances, with current utilization of "
                    f"{used.get(instance_type, 0)} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to "
                    "request an increase for this quota.",
                )

    def _quota(self, instance_type: str) -> dict[str, Any]:
        code = code_of(instance_type)
        return {
            "ServiceCode": SERVICE,
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{self.region_name}:{self.account_id}:{SERVICE}/{code}",
            "QuotaCode": code,
            "QuotaName": name_of(instance_type),
            "Value": DEFAULT,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def name_of(instance_type: str) -> str:
    return f"{instance_type} for endpoint usage"


def code_of(instance_type: str) -> str:
    return f"L-{hashlib.sha256(instance_type.encode()).hexdigest()[:8].upper()}"


@cache
def instance_types() -> tuple[str, ...]:
    """The instance types that an endpoint may have (botocore's model)."""
    return tuple(get_service_model("sagemaker").shape_for("ProductionVariantInstanceType").enum)


def fleet(variants: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]) -> Counter[str]:
    """Instances by type of the variants of an endpoint config."""
    found: Counter[str] = Counter()
    for name, variant in variants.items():
        if variant.get("InstanceType"):
            found[str(variant["InstanceType"])] += counts.get(name, 0)
    return found


backends = BackendDict(Quotas, "service-quotas")
