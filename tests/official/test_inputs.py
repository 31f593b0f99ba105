"""The official provider accepts all that the program registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.infra.rendering import STACKS, Registered, Rendered
from tests.official.terraform import Terraform
from tests.official.translation import Schema, Translation

Judge = Callable[[Rendered], list[str]]


@pytest.fixture
def judge(schema: Schema, plugins: Path, tmp_path: Path) -> Judge:
    """All that the official provider has against an environment."""

    def faults(rendered: Rendered) -> list[str]:
        translation = Translation(schema)
        terraform = Terraform(tmp_path, plugins)
        terraform.init(translation.configuration(rendered, {}))
        return [*translation.problems, *terraform.diagnostics()]

    return faults


@pytest.mark.parametrize("stack", STACKS)
def test_the_official_provider_accepts_every_input(referring: dict[str, Rendered], judge: Judge, stack: str) -> None:
    faults = judge(referring[stack])
    assert not faults, "\n".join(faults)


def test_the_judge_sees_what_is_wrong(referring: dict[str, Rendered], judge: Judge) -> None:
    wrong: dict[str, dict[str, Any]] = {  # no one needs another: what depends on a resource that is wrong is not looked at
        "network-vpc": {"cidrBlok": "10.0.0.0/16"},
        "network-flow-log": {"maxAggregationInterval": 61},
        "journal-promotions": {"billingMode": "ON_DEMAND"},
        "serving-bootstrap-config": {"productionVariants": [{"initialInstanceCount": "two"}]},
        "registry-toolkit-policy": {"policy": "{"},
    }

    def spoilt(resource: Registered) -> Registered:
        return replace(resource, inputs={**resource.inputs, **wrong.get(resource.name, {})})

    dev = referring["dev"]
    faults = judge(Rendered([spoilt(each) for each in dev.resources], dev.outputs))
    seen = {name: [fault for fault in faults if name in fault] for name in wrong}
    assert all(seen.values()), faults
    assert len(faults) == sum(len(each) for each in seen.values()), faults
