"""Requests to Service Quotas."""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.servicequotas.responses import ServiceQuotasResponse

from local.cloud.aws_errors import CloudError
from local.cloud.quotas.store import Quotas, backends

LONGEST_PAGE = 100


class QuotasResponse(ServiceQuotasResponse):
    """moto's handler, on our quotas and with pages."""

    @property
    def backend(self) -> Quotas:
        found: Quotas = backends[self.current_account][self.region]
        return found

    @property
    def _asked(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body or "{}")
        return parsed

    def list_service_quotas(self) -> ActionResult:
        return self._page(self.backend.quotas(self._asked["ServiceCode"]))

    def list_aws_default_service_quotas(self) -> ActionResult:  # type: ignore[override]
        return self._page(self.backend.defaults(self._asked["ServiceCode"]))

    def get_service_quota(self) -> ActionResult:  # type: ignore[override]
        return ActionResult({"Quota": self.backend.quota(self._asked["ServiceCode"], self._asked["QuotaCode"])})

    def request_service_quota_increase(self) -> ActionResult:
        service, code, value = (self._asked[name] for name in ("ServiceCode", "QuotaCode", "DesiredValue"))
        before = self.backend.ask(service, code, float(value))
        kept = {name: before[name] for name in ("ServiceCode", "ServiceName", "QuotaArn", "QuotaCode", "QuotaName", "Unit", "GlobalQuota")}
        return ActionResult({"RequestedQuota": {**kept, "Id": f"{code}-{value:.0f}", "DesiredValue": float(value), "Status": "APPROVED"}})

    def _page(self, quotas: list[dict[str, Any]]) -> ActionResult:
        try:
            start = int(self._asked.get("NextToken") or 0)
        except ValueError:
            raise CloudError("InvalidPaginationTokenException", "Invalid token was used.") from None
        end = start + min(int(self._asked.get("MaxResults") or LONGEST_PAGE), LONGEST_PAGE)
        more = {"NextToken": str(end)} if end < len(quotas) else {}
        return ActionResult({"Quotas": quotas[start:end], **more})
