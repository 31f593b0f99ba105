"""The policy evaluator, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from local.cloud.aws_errors import CloudError
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate

ROLE = "arn:aws:iam::222222222222:role/promotion"
SESSION = "arn:aws:sts::222222222222:assumed-role/promotion/run"
CALLER = Principal(account_id="222222222222", arn=ROLE, session_arn=SESSION, user_id="AROA:run")
ALLOW, DENY, SILENT = Verdict.ALLOW, Verdict.DENY, Verdict.SILENT


def ask(
    *statements: dict[str, Any],
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::b/models/x",
    principal: Principal = CALLER,
    **context: Any,
) -> Verdict:
    keys = {**principal.context(), **{name.replace("__", ":").replace("_", "-").lower(): value for name, value in context.items()}}
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", **statement} for statement in statements],
    }
    return evaluate([document], Question(principal, action, resource, keys))


def without(statement: dict[str, Any], *members: str) -> Verdict:
    full = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", **statement}
    document = {"Version": "2012-10-17", "Statement": {name: value for name, value in full.items() if name not in members}}
    return evaluate([document], Question(CALLER, "s3:GetObject", "arn:aws:s3:::b/models/x", CALLER.context()))


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", ALLOW),
        ({"AWS": "*"}, ALLOW),
        ({"AWS": "222222222222"}, ALLOW),
        ({"AWS": "arn:aws:iam::222222222222:root"}, ALLOW),
        ({"AWS": ROLE}, ALLOW),
        ({"AWS": SESSION}, ALLOW),
        ({"AWS": [ROLE + "2", ROLE]}, ALLOW),
        ({"AWS": ROLE + "2"}, SILENT),
        ({"AWS": "arn:aws:iam::333333333333:root"}, SILENT),
        ({"Service": "s3.amazonaws.com"}, SILENT),
    ],
)
def test_principals(principal: Any, expected: Verdict) -> None:
    assert ask({"Principal": principal}) is expected


def test_a_service_is_no_account() -> None:
    service = Principal(service="events.amazonaws.com")
    assert ask({"Principal": {"Service": "events.amazonaws.com"}}, principal=service) is ALLOW
    assert ask({"Principal": {"AWS": "*"}}, principal=service) is SILENT


def test_not_principal() -> None:
    assert without({"NotPrincipal": {"AWS": ROLE}}, "Principal") is SILENT
    assert without({"NotPrincipal": {"AWS": ROLE + "2"}}, "Principal") is ALLOW


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("s3:getobject", ALLOW),
        ("s3:Get*", ALLOW),
        ("s3:?etObject", ALLOW),
        (["s3:Put*", "s3:*"], ALLOW),
        ("s3:GetObjec", SILENT),
        ("kms:*", SILENT),
    ],
)
def test_actions(actions: Any, expected: Verdict) -> None:
    assert ask({"Action": actions}) is expected


def test_not_action() -> None:
    assert without({"NotAction": "s3:*"}, "Action") is SILENT
    assert without({"NotAction": "kms:*"}, "Action") is ALLOW


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ("arn:aws:s3:::b/models/*", ALLOW),
        ("arn:aws:s3:::b/mod?ls/x", ALLOW),
        ("arn:aws:s3:::b", SILENT),
        ("arn:aws:s3:::b/model", SILENT),
        (["arn:aws:s3:::c/*", "arn:aws:s3:::b/*"], ALLOW),
        ("arn:aws:s3:::b/${aws:PrincipalAccount}/*", SILENT),
        ("arn:aws:s3:::b/${aws:unknown}*", SILENT),
        ("arn:aws:s3:::b/${aws:unknown, 'models'}/x", ALLOW),
        ("arn:aws:s3:::b/models/${*}", SILENT),
    ],
)
def test_resources(resources: Any, expected: Verdict) -> None:
    assert ask({"Resource": resources}) is expected


def test_not_resource_and_none() -> None:
    assert without({"NotResource": "arn:aws:s3:::b/*"}, "Resource") is SILENT
    assert without({"NotResource": "arn:aws:s3:::c/*"}, "Resource") is ALLOW
    assert without({}, "Resource") is ALLOW


def test_a_deny_wins() -> None:
    assert ask({}, {"Effect": "Deny"}) is DENY
    assert ask({"Effect": "Deny"}, {}) is DENY
    assert ask({}, {"Effect": "Deny", "Action": "s3:Put*"}) is ALLOW


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws__SecureTransport": "true"}, SILENT),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws__SecureTransport": "true"}, ALLOW),
        ({"Bool": {"aws:SecureTransport": "true"}}, {}, SILENT),
        ({"BoolIfExists": {"aws:SecureTransport": "true"}}, {}, ALLOW),
        ({"ArnEquals": {"aws:PrincipalArn": ROLE}}, {}, ALLOW),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/promo*"}}, {}, ALLOW),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:role/promotion"}}, {}, SILENT),
        ({"ArnNotEquals": {"aws:PrincipalArn": ROLE}}, {}, SILENT),
        ({"ArnNotLike": {"aws:SourceArn": "arn:aws:s3:::x"}}, {}, ALLOW),
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, ALLOW),
        ({"StringEquals": {"K": "b"}}, {"k": "B"}, SILENT),
        ({"StringEqualsIgnoreCase": {"k": "b"}}, {"k": "B"}, ALLOW),
        ({"StringEquals": {"k": "${aws:PrincipalAccount}"}}, {"k": "222222222222"}, ALLOW),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, SILENT),
        ({"StringNotEquals": {"k": "a"}}, {}, ALLOW),
        ({"StringNotEqualsIfExists": {"k": "a"}}, {"k": "a"}, SILENT),
        ({"StringLike": {"k": "ab*d?"}}, {"k": "abcde"}, ALLOW),
        ({"StringNotLike": {"k": "ab*"}}, {"k": "abc"}, SILENT),
        ({"NumericLessThan": {"k": "1.2"}}, {"k": "1.3"}, SILENT),
        ({"NumericLessThan": {"k": "1.2"}}, {"k": "x"}, SILENT),
        ({"NumericGreaterThanEquals": {"k": "3"}}, {"k": "3"}, ALLOW),
        ({"DateLessThan": {"k": "2026-01-02T00:00:00Z"}}, {"k": "2026-01-01T00:00:00Z"}, ALLOW),
        ({"IpAddress": {"k": "127.0.0.0/8"}}, {"k": "127.0.0.1"}, ALLOW),
        ({"NotIpAddress": {"k": "127.0.0.0/8"}}, {"k": "127.0.0.1"}, SILENT),
        ({"Null": {"k": "true"}}, {}, ALLOW),
        ({"Null": {"k": "true"}}, {"k": "x"}, SILENT),
        ({"ForAnyValue:StringEquals": {"k": "b"}}, {"k": ["a", "b"]}, ALLOW),
        ({"ForAnyValue:StringEquals": {"k": "b"}}, {}, SILENT),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "c"]}, SILENT),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {}, ALLOW),
        ({"StringEquals": {"k": "a"}, "Bool": {"l": "true"}}, {"k": "a", "l": "false"}, SILENT),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], expected: Verdict) -> None:
    assert ask({"Condition": condition}, **context) is expected


def test_an_operator_that_is_not_known_is_not_guessed() -> None:
    with pytest.raises(CloudError, match="Condition operator StringSounds"):
        ask({"Condition": {"StringSounds": {"aws:PrincipalArn": "x"}}})


def test_variables_are_text_in_old_policies() -> None:
    document = {
        "Version": "2008-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::b/${aws:userid}"}],
    }
    assert evaluate([document], Question(CALLER, "s3:GetObject", "arn:aws:s3:::b/AROA:run", CALLER.context())) is SILENT
    assert evaluate([document], Question(CALLER, "s3:GetObject", "arn:aws:s3:::b/${aws:userid}", CALLER.context())) is ALLOW
