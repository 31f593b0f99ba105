"""`lockstep status` over environments of which some can't be told. The others are in tests/promotion/test_commands.py."""

from __future__ import annotations

from collections.abc import Callable

import boto3
import pytest

from tests.lockstep.conftest import Ran


def test_an_environment_that_can_not_be_reached_is_a_row_beside_the_others(lockstep: Callable[..., Ran], account: boto3.Session) -> None:
    """The shell has credentials of dev alone, where nothing is deployed."""
    ran = lockstep("status", "--json")
    assert ran.code == 0
    dev, staging, prod = ran.json
    assert (dev["environment"], dev["endpoint_status"]) == ("dev", "dev is not deployed")
    assert "error" not in dev
    for row, account_id in ((staging, "222222222222"), (prod, "333333333333")):
        assert row["endpoint_status"] == "can't be told"
        assert f"no credentials for account {account_id}" in row["error"]["message"]
    text = lockstep("status").out
    assert "dev is not deployed" in text
    assert "\nstaging: no credentials for account 222222222222" in text
    assert "Sign in to account 222222222222" in text


def test_one_that_was_asked_for_by_name_is_an_error(lockstep: Callable[..., Ran], account: boto3.Session) -> None:
    assert (lockstep("status", "staging").code, lockstep("status", "dev").code) == (1, 1)


def test_where_nothing_can_be_told_it_fails(lockstep: Callable[..., Ran], account: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    ran = lockstep("status", "--json")
    assert ran.code == 1
    assert [row["environment"] for row in ran.json] == ["dev", "staging", "prod"]
