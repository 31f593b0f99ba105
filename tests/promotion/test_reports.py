"""The reports of gates and evaluation let in the candidate that they are about, and no other."""

from __future__ import annotations

import hashlib
import json

import pytest

from infra.errors import IntegrityError
from tests.promotion.flow import ledger, release, run
from tests.promotion.world import World


@pytest.mark.parametrize("report", ["gates", "evaluation"])
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("artefact_sha256", "0" * 64, "is of artefact 0000"),
        ("image", f"registry/other@sha256:{'1' * 64}", "is of image sha256:1111"),
        ("golden_sha256", "2" * 64, "is of golden data 2222"),
        ("golden_sha256", None, "is of golden data None"),
    ],
)
def test_a_report_about_something_else_lets_nothing_in(report: str, field: str, value: str | None, words: str) -> None:
    world = World()
    arn = world.add_package(1)
    place = (world.outputs.buckets.artefacts.name, f"evidence/1/{report}.json")
    world.objects[place] = json.dumps({**json.loads(world.objects[place]), field: value}).encode()
    with pytest.raises(IntegrityError, match=words) as raised:
        run(world, release(arn))
    assert raised.value.where == f"s3://{place[0]}/{place[1]}"
    assert world.updates == []


@pytest.mark.parametrize("key", ["gates-uri", "evaluation-uri"])
def test_a_report_from_a_bucket_that_others_may_write_lets_nothing_in(key: str) -> None:
    world = World()
    place = (world.outputs.buckets.artefacts.name, f"evidence/1/{key.removesuffix('-uri')}.json")
    arn = world.add_package(1, **{key: f"s3://elsewhere/{place[1]}"})
    world.objects["elsewhere", place[1]] = world.objects[place]
    with pytest.raises(IntegrityError, match=f"{key} lies outside its environment's bucket {place[0]}"):
        run(world, release(arn))
    assert world.updates == []


def test_evidence_holds_the_digests_of_both_reports() -> None:
    world = World()
    run(world, release(world.add_package(1)))
    (story,) = ledger(world, "promotions/")
    for report in ("gates", "evaluation"):
        body = world.objects[world.outputs.buckets.artefacts.name, f"evidence/1/{report}.json"]
        assert story["judged"][f"{report}_sha256"] == hashlib.sha256(body).hexdigest()
        assert story["judged"][report] == json.loads(body)
