"""A change of instance type under a scalable target: refused before anything starts, and done by the procedure that the refusal names."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import xform_name

from infra.errors import PreflightError
from lockstep import promotions, scaled
from lockstep.promotions import Place
from tests.lockstep.denied import Denied
from tests.promotion.conftest import SPEED
from tests.promotion.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An environment whose variant is scaled, after an edit of `serving.instanceType`."""
    from local.cloud.server import running

    with running(tmp_path_factory.mktemp("cloud"), speed=SPEED) as cloud:
        site = Site(cloud)
        site.session.client("application-autoscaling").register_scalable_target(**_target(site), MinCapacity=2, MaxCapacity=3)
        assert scaled.check(site.session, site.outputs) is None
        edited = site.outputs.serving.model_copy(update={"instance_type": "ml.m5.xlarge"})
        site.outputs = site.outputs.model_copy(update={"serving": edited})
        yield site


def _target(site: Site) -> dict[str, Any]:
    resource = f"endpoint/{site.outputs.endpoint.name}/variant/{site.outputs.serving.variant_name}"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


def live_type(site: Site) -> str:
    config = site.sagemaker.describe_endpoint_config(EndpointConfigName=site.describe()["EndpointConfigName"])
    return str(config["ProductionVariants"][0]["InstanceType"])


def test_rights_that_do_not_reach_are_said_and_stop_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    denied = Denied(site.session, "application-autoscaling")
    promotions.make_sure_it_can_start(Place(site.outputs, denied))
    assert "warning: it could not be checked whether autoscaling lets the instance type change" in capsys.readouterr().err


def test_the_type_changes_by_the_procedure_that_the_refusal_names(site: Site) -> None:
    package = site.package("on larger machines")
    before = site.describe()["EndpointConfigName"]
    with pytest.raises(PreflightError, match=r"ValidationException: .* must be deregistered as scalable targets"):
        site.execute("release", package, run="refused")
    assert site.describe()["EndpointConfigName"] == before
    assert site.leftovers() == []
    assert [entry["step"] for entry in site.ledger("refusals/").values()] == ["Release"]

    with pytest.raises(PreflightError, match=r"of ml\.m5\.large, the environment now says ml\.m5\.xlarge") as refused:
        promotions.start_release(Place(site.outputs, site.session), operation="redeploy")
    deregister, redeploy, up = (shlex.split(line) for line in str(refused.value.remedy).splitlines()[1:])
    assert redeploy == ["lockstep", "redeploy", site.outputs.environment]
    assert up == ["pulumi", "up", "-s", site.outputs.environment, "--refresh"]

    assert deregister[:2] == ["aws", "application-autoscaling"]
    client = site.session.client("application-autoscaling", region_name=deregister[deregister.index("--region") + 1])
    shape = client.meta.service_model.operation_model("DeregisterScalableTarget").input_shape
    given = dict(zip(deregister[3::2], deregister[4::2], strict=True))
    arguments = {name: given[f"--{xform_name(name, '-')}"] for name in shape.members}
    assert xform_name("DeregisterScalableTarget", "-") == deregister[2]
    client.deregister_scalable_target(**arguments)
    assert scaled.check(site.session, site.outputs) is None
    assert site.execute("release", package, run="again").ending == "released"
    assert live_type(site) == "ml.m5.xlarge"
    client.register_scalable_target(**_target(site), MinCapacity=2, MaxCapacity=3)
    assert scaled.check(site.session, site.outputs) is None
