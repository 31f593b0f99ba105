"""Names: within limits, never two alike, and a function of the stack file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config import Stack
from infra.naming import Names, partition_of, physical_name

WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=40)
PARTS = st.lists(WORDS, min_size=1, max_size=6)
LIMITS = st.integers(min_value=16, max_value=300)


@given(PARTS, LIMITS)
def test_a_name_keeps_its_limit_and_its_alphabet(parts: list[str], limit: int) -> None:
    name = physical_name(*parts, limit=limit)
    assert 0 < len(name) <= limit
    assert re.fullmatch(r"[a-z0-9](-*[a-z0-9])*", name)


@given(PARTS, LIMITS)
def test_a_name_is_whole_where_it_fits(parts: list[str], limit: int) -> None:
    whole = "-".join(parts)
    name = physical_name(*parts, limit=limit)
    assert (name == whole) == (len(whole) <= limit)


@given(PARTS, PARTS, LIMITS)
def test_different_wholes_get_different_names(one: list[str], other: list[str], limit: int) -> None:
    if "-".join(one) != "-".join(other):
        assert physical_name(*one, limit=limit) != physical_name(*other, limit=limit)


def test_a_limit_without_room_for_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        physical_name("a", limit=15)


@given(
    environment=st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True),
    workload=st.from_regex(r"[a-z][a-z0-9]{0,7}(-[a-z0-9]{1,7}){0,2}", fullmatch=True),
)
def test_every_service_takes_its_names(environment: str, workload: str) -> None:
    names = Names(environment=environment, account_id="123456789012", region="us-east-1", workload=workload)
    sagemaker = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    for name in (names.endpoint, names.bootstrap, names.model_package_group, names.feature_group):
        assert re.fullmatch(sagemaker, name)
    assert re.fullmatch(sagemaker.replace("62", "31"), names.release_prefix)
    for bucket in (names.bucket("artefacts"), names.bucket("ledger")):
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
    assert len(names.role("flow-logs")) <= 64
    assert re.fullmatch(r"alias/[A-Za-z0-9/_-]{1,250}", names.key_alias("operations"))
    assert len(names.approval_rule) <= 64
    for kind in ("training", "admit", "release"):
        assert len(names.pipeline(kind)) <= 256


def test_names_come_from_the_stack_file(stacks: dict[str, Stack]) -> None:
    names = Names.of(stacks["staging"])
    assert names.bucket("artefacts") == "lockstep-staging-artefacts-222222222222"
    assert names.role_arn("promotion") == "arn:aws:iam::222222222222:role/lockstep-staging-promotion"
    assert names.repository_uri("workload") == "222222222222.dkr.ecr.us-east-1.amazonaws.com/lockstep-staging-workload"
    assert names.model_package_group_arn == "arn:aws:sagemaker:us-east-1:222222222222:model-package-group/lockstep-staging-mortgage"


def test_other_partitions() -> None:
    assert [partition_of(region) for region in ("eu-west-1", "us-gov-west-1")] == ["aws", "aws-us-gov"]
    names = Names(environment="dev", account_id="123456789012", region="us-gov-west-1", workload="w")
    assert names.role_arn("jobs").startswith("arn:aws-us-gov:iam::")
    assert names.repository_uri("toolkit").startswith("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/")
