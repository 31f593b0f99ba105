"""Room for a second fleet: on the embedded cloud, whose quotas are as real as its endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import PreflightError
from lockstep import promotions, quotas
from lockstep.promotions import Place
from tests.lockstep.denied import Denied
from tests.promotion.conftest import SPEED
from tests.promotion.site import Site

NAME = "ml.m5.large for endpoint usage"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    from local.cloud.server import running

    with running(tmp_path_factory.mktemp("cloud"), speed=SPEED) as cloud:
        yield Site(cloud)


@pytest.fixture
def allow(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`allow(n)`: a quota of n instances."""
    from local.cloud.quotas.store import backends

    account = backends[site.outputs.account_id][site.outputs.region]
    code = next(quota["QuotaCode"] for quota in account.quotas("sagemaker") if quota["QuotaName"] == NAME)
    return lambda count: monkeypatch.setitem(account.applied, code, float(count))


def test_quotas_are_listed_by_pages_under_the_names_that_aws_gives_them(site: Site) -> None:
    client = site.session.client("service-quotas")
    pages = list(client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"))
    assert len(pages) > 1
    (quota,) = [quota for page in pages for quota in page["Quotas"] if quota["QuotaName"] == NAME]
    assert client.get_service_quota(ServiceCode="sagemaker", QuotaCode=quota["QuotaCode"])["Quota"] == quota
    asked = client.request_service_quota_increase(ServiceCode="sagemaker", QuotaCode=quota["QuotaCode"], DesiredValue=30)
    assert asked["RequestedQuota"]["DesiredValue"] == 30
    assert client.get_service_quota(ServiceCode="sagemaker", QuotaCode=quota["QuotaCode"])["Quota"]["Value"] == 30
    for code, wrong in (("L-0", "NoSuchResource"), (quota["QuotaCode"], "IllegalArgument")):
        with pytest.raises(ClientError, match=wrong):
            client.request_service_quota_increase(ServiceCode="sagemaker", QuotaCode=code, DesiredValue=1)


def test_both_fleets_must_fit(site: Site, allow: Any) -> None:
    allow(4)
    assert quotas.check(site.session, site.outputs) is None
    assert quotas.look(site.session, site.outputs) == quotas.Room(instance_type="ml.m5.large", quota=4, used=2, added=2)
    allow(3)
    with pytest.raises(PreflightError, match=rf"the quota '{NAME}' is 3, 2 are in use, the rollout adds 2") as raised:
        promotions.start_release(Place(site.outputs, site.session), operation="redeploy")
    assert "Service Quotas" in str(raised.value.remedy)
    assert site.outputs.account_id in str(raised.value.where)


def test_a_quota_that_can_not_be_read_is_said_and_stops_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    denied = Denied(site.session, "service-quotas")
    assert "could not be checked" in str(quotas.check(denied, site.outputs))
    promotions.make_sure_it_can_start(Place(site.outputs, denied))
    assert "warning: it could not be checked" in capsys.readouterr().err
    unknown = site.outputs.model_copy(update={"serving": site.outputs.serving.model_copy(update={"instance_type": "ml.new.large"})})
    assert "knows no 'ml.new.large for endpoint usage'" in str(quotas.check(site.session, unknown))


def test_a_quota_that_shrank_meanwhile_stops_the_update_and_nothing_has_changed(site: Site, allow: Any) -> None:
    package = site.package("no room")
    before = site.describe()["EndpointConfigName"]
    allow(3)
    with pytest.raises(PreflightError, match=rf"ResourceLimitExceeded: The account-level service limit '{NAME}' is 3"):
        site.execute("release", package, run="no room")
    assert site.describe()["EndpointConfigName"] == before
    assert site.leftovers() == []
    assert [entry["step"] for entry in site.ledger("refusals/").values()] == ["Release"]
