"""What preflight refuses: each time before anything is made, with where and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.errors import IntegrityError, LockstepError, PreflightError
from pipelines.promotion.engine import Engine
from tests.promotion.environment import make_outputs
from tests.promotion.fake import FakeAws
from tests.promotion.flow import release, run
from tests.promotion.world import World


def _flip(world: World, arn: str) -> None:
    key = next(key for key in world.objects if key[1].endswith("model.tar.gz"))
    body = world.objects[key]
    world.objects[key] = bytes([body[0] ^ 1]) + body[1:]


def _drop_alarm(world: World, arn: str) -> None:
    del world.alarm_table[world.outputs.endpoint.alarm_names[0]]


def _ring_alarm(world: World, arn: str) -> None:
    world.alarm_table[world.outputs.endpoint.alarm_names[0]]["StateValue"] = "ALARM"


def _mute_alarm(world: World, arn: str) -> None:
    world.alarm_table[world.outputs.endpoint.alarm_names[0]].update(StateValue="INSUFFICIENT_DATA", made=float("inf"))


def _retag(world: World, arn: str) -> None:
    for image in world.images.values():
        image["tags"] = []


def _swap_manifest(world: World, arn: str) -> None:
    for image in world.images.values():
        image["manifest"] += " "


def _nan(world: World, arn: str) -> None:
    key = next(key for key in world.objects if key[1].endswith("evaluation.json"))
    report = json.loads(world.objects[key])
    report["metrics"]["auc"] = float("nan")
    world.objects[key] = json.dumps(report).encode()


def _no_gates(world: World, arn: str) -> None:
    del world.objects[next(key for key in world.objects if key[1].endswith("gates.json"))]


def _failed_gates(world: World, arn: str) -> None:
    world.objects[next(key for key in world.objects if key[1].endswith("gates.json"))] = b'{"passed": "true"}'


def _pending(world: World, arn: str) -> None:
    world.packages[arn]["ModelApprovalStatus"] = "PendingManualApproval"


def _tagged(world: World, arn: str) -> None:
    world.packages[arn]["InferenceSpecification"]["Containers"][0]["Image"] = f"{world.outputs.repositories.workload.uri}:latest"


def _disable_key(world: World, arn: str) -> None:
    world.keys_state[world.outputs.keys.artefacts] = "PendingDeletion"


def _delete_config(world: World, arn: str) -> None:
    del world.configs[world.live]


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_flip, IntegrityError, "its bytes have SHA-256"),
        (_drop_alarm, PreflightError, "the alarm does not exist"),
        (_ring_alarm, PreflightError, "it is in ALARM"),
        (_mute_alarm, PreflightError, "INSUFFICIENT_DATA"),
        (_retag, IntegrityError, "its tag was moved"),
        (_swap_manifest, IntegrityError, "a manifest of digest"),
        (_nan, IntegrityError, "metric auc is nan"),
        (_no_gates, IntegrityError, "no such object"),
        (_failed_gates, IntegrityError, "does not say that they passed"),
        (_pending, PreflightError, "PendingManualApproval, not Approved"),
        (_tagged, IntegrityError, "not named by digest"),
        (_disable_key, PreflightError, "the key is PendingDeletion"),
        (_delete_config, PreflightError, "the live endpoint config was deleted"),
    ],
)
def test_preflight_stops_a_promotion_before_anything_is_made(spoil: Any, error: type[LockstepError], words: str) -> None:
    world = World()
    arn = world.add_package(1)
    spoil(world, arn)
    aws = FakeAws(world)
    with pytest.raises(error, match=words) as raised:
        Engine(aws, world.outputs, run="one").execute(release(arn))
    assert raised.value.where
    assert raised.value.remedy
    assert not [call for call in aws.calls if call.startswith(("Create", "Update", "PutMetric"))]
    written = [key for bucket, key in world.objects if bucket == world.outputs.buckets.ledger.name]
    assert [key.partition("/")[0] for key in written] == ["refusals"]
    assert world.items[f"LEASE#{world.outputs.endpoint.name}"]["body"]["finished"] is True


def test_a_refusal_names_every_failure_and_the_promotion_can_be_run_again() -> None:
    world = World()
    arn = world.add_package(1)
    _pending(world, arn)
    _disable_key(world, arn)
    with pytest.raises(PreflightError, match=r"not Approved.*Also.*PendingDeletion"):
        run(world, release(arn))
    world.packages[arn]["ModelApprovalStatus"] = "Approved"
    world.keys_state.clear()
    assert run(world, release(arn)).ending == "released"


def test_an_image_on_a_host_base_is_refused_where_it_may_not_run() -> None:
    outputs = make_outputs()
    strict = outputs.model_copy(update={"promotion": outputs.promotion.model_copy(update={"allow_host_base": False})})
    world = World(strict)
    with pytest.raises(PreflightError, match="rehearsal only"):
        run(world, release(world.add_package(1)))
