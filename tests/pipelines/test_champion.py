"""Which model is the champion: what the endpoint serves, and nothing but."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import IntegrityError, PreflightError
from pipelines.jobs import champion
from tests.pipelines.conftest import IMAGE, environment


class Service:
    """The few answers of SageMaker and S3 that `determine` reads."""

    def __init__(self, config: str, releases: int = 0, image: str = IMAGE, model: str = f"s3://a/models/{'b' * 64}/model.tar.gz") -> None:
        self.config, self.releases, self.image, self.model = config, releases, image, model

    def client(self, _name: str) -> Service:
        return self

    def describe_endpoint(self, **_: str) -> dict[str, Any]:
        return {"EndpointConfigName": self.config}

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"KeyCount": self.releases}

    def describe_endpoint_config(self, **_: str) -> dict[str, Any]:
        return {"ProductionVariants": [{"ModelName": "m"}]}

    def describe_model(self, **_: str) -> dict[str, Any]:
        return {"ModelArn": "arn:model", "PrimaryContainer": {"Image": self.image, "ModelDataUrl": self.model}}

    def list_tags(self, **_: str) -> dict[str, Any]:
        return {"Tags": []}


def determine(service: Service) -> dict[str, str]:
    return champion.determine(service, environment(), candidate_image="mine", candidate_model_uri="s3://mine/model.tar.gz")


def test_there_is_no_champion_only_before_the_first_release() -> None:
    bootstrap = environment().endpoint.bootstrap_config_name
    assert determine(Service(bootstrap))["kind"] == "none"
    with pytest.raises(PreflightError, match="the champion is missing"):
        determine(Service(bootstrap, releases=1))


def test_the_champion_is_what_the_endpoint_serves() -> None:
    found = determine(Service("release-1", releases=1))
    assert (found["kind"], found["image"], found["artefact_sha256"]) == ("release", IMAGE, "b" * 64)


@pytest.mark.parametrize("service", [Service("release-1", image="repo:latest"), Service("release-1", model="s3://a/model.tar.gz")])
def test_a_champion_that_is_not_pinned_is_an_error(service: Service) -> None:
    with pytest.raises(IntegrityError, match="what serves is not pinned"):
        determine(service)
