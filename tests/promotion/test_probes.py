"""What a golden request says about the new fleet, and what only about the service in front of it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.errors import PreflightError
from pipelines.promotion import seam
from pipelines.promotion.engine import Engine
from pipelines.promotion.seam import Answer, Aws
from tests.promotion.fake import FakeAws
from tests.promotion.flow import assert_converged, release, run
from tests.promotion.world import World

THROTTLED: Answer = {"ok": False, "status": None, "body": "ThrottlingException: Rate exceeded"}


@pytest.mark.parametrize(
    ("name", "http", "original", "status"),
    [
        ("ThrottlingException", 400, None, None),
        ("ThrottlingException", 429, None, None),
        ("ServiceUnavailable", 503, None, None),
        ("InternalFailure", 500, None, None),
        ("InternalDependencyException", 530, None, None),
        ("ModelError", 424, 500, 500),
        ("ModelError", 424, 503, 503),
        ("ModelNotReadyException", 429, None, 429),
        ("ValidationError", 400, None, 400),
    ],
)
def test_only_what_the_model_answers_has_a_status(name: str, http: int, original: int | None, status: int | None) -> None:
    session = boto3.Session("key", "secret", region_name="us-east-1")
    aws = Aws(session, table="t")
    client = aws._client("sagemaker-runtime", seam._ONCE)
    modeled: dict[str, Any] = {"OriginalStatusCode": original} if original else {}
    with Stubber(client) as stub:
        stub.add_client_error("invoke_endpoint", name, "why", http, modeled_fields=modeled)
        answer = aws.invoke("e", body="x", content_type="text/csv")
    assert (answer["ok"], answer["status"]) == (False, status)
    assert answer["body"] == f"{name}: why"


class Throttling(FakeAws):
    """Answers of the service itself to those requests of a run that `refused` names by number, from 1."""

    refused: range = range(0)
    asked = 0

    def invoke(self, endpoint: str, *, body: str, content_type: str) -> Answer:
        self.asked += 1
        answer = super().invoke(endpoint, body=body, content_type=content_type)
        return dict(THROTTLED) if self.asked in self.refused else answer


def requests_of_a_release() -> int:
    aws = Throttling(World())
    Engine(aws, aws.world.outputs, run="clean").execute(release(aws.world.add_package(1)))
    return aws.asked


def test_a_request_that_the_service_throttles_says_nothing_about_the_new_fleet() -> None:
    count = requests_of_a_release()
    assert count > 5
    for first in range(1, count + 1):
        world = World()
        aws = Throttling(world)
        aws.refused = range(first, first + 3)
        outcome = Engine(aws, world.outputs, run="one").execute(release(world.add_package(1)))
        assert (outcome.ending, outcome.reasons) == ("released", ()), first
        assert_converged(world, outcome, "")


def test_a_service_that_answers_no_golden_request_leaves_nothing_to_judge_by() -> None:
    world = World()
    good = run(world, release(world.add_package(1)))
    aws = Throttling(world)
    aws.refused = range(1, 10_000)
    outcome = Engine(aws, world.outputs, run="one").execute(release(world.add_package(2)))
    assert outcome.ending == "rolled-back"
    assert "golden request 0 got no answer" in outcome.reasons[0]
    assert_converged(world, outcome, good.endpoint_config)


def with_requests_of(world: World, arn: str, size: int) -> None:
    """Fifty golden requests of `size` characters each."""
    requests = [{"content_type": "text/csv", "body": f"{n:02d}" + "x" * size, "answer": f"answer {n}"} for n in range(50)]
    place = (world.outputs.buckets.artefacts.name, "evidence/1/probes.json")
    world.objects[place] = json.dumps({"requests": requests}).encode()
    world.answers |= {f"{arn} {request['body']}": request["answer"] for request in requests}


@pytest.mark.parametrize(("size", "kept"), [(100, 50), (8_000, 16), (100_000, 1)])
def test_large_requests_are_kept_as_far_as_an_item_of_the_journal_holds_them(size: int, kept: int) -> None:
    world = World()
    arn = world.add_package(1)
    with_requests_of(world, arn, size)
    assert run(world, release(arn)).ending == "released"
    assert max(len(json.dumps(item["body"])) for item in world.items.values()) < 300_000
    assert len(world.items["dev-p1-1"]["body"]["facts"]["probes"]) == kept


def test_a_request_that_no_item_of_the_journal_holds_is_refused_before_anything_changes() -> None:
    world = World()
    arn = world.add_package(1)
    with_requests_of(world, arn, 500_000)
    with pytest.raises(PreflightError, match="the first golden request and its answer take more than 131072 characters"):
        run(world, release(arn))
    assert world.updates == []
