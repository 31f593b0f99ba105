"""What a definition is refused for at CreatePipeline, and what each expression and condition means."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from local.cloud.aws_errors import CloudError
from local.cloud.pipelines.conditions import BadCondition, holds
from local.cloud.pipelines.definition import MAX_CHARACTERS, parse
from local.cloud.pipelines.expressions import Unresolved, look_up, resolve
from local.cloud.pipelines.policies import Cache, RetryPolicy
from local.cloud.pipelines.schedule import next_steps
from local.cloud.pipelines.steprun import StepRun
from local.cloud.pipelines.work import resource_name


def processing(name: str, *arguments: Any, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Processing", "Arguments": {"AppSpecification": {"ContainerArguments": list(arguments)}}, **more}


def text(*steps: Any, **changes: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": list(steps), **changes})


CONDITION = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}


def condition(name: str, *inside: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Condition", "Arguments": {"Conditions": [CONDITION], "IfSteps": list(inside), "ElseSteps": []}}


def choice(given: Any) -> dict[str, Any]:
    return {"Name": "C", "Type": "Condition", "Arguments": {"Conditions": [given], "IfSteps": [], "ElseSteps": []}}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{", "It is no JSON"),
        ("[]", "It is no JSON object"),
        (text(processing("A"), Version="2019-01-01"), "Version must be 2020-12-01"),
        (" " * (MAX_CHARACTERS + 1), "1048576 are allowed"),
        (text(), "at least one step"),
        (text("A"), "'A' is no step"),
        (text(processing("A b")), "'A b' is no name of a step"),
        (text(processing("A"), condition("C", processing("A"))), "A is there twice"),
        (text({"Name": "A", "Type": "Magic", "Arguments": {}}), "the unknown type 'Magic'"),
        (text(processing("A", {"Get": "Parameters.X"})), "the parameter X, which is not declared"),
        (text(processing("A", {"Get": "Steps.B.X"})), "the step B, which does not exist"),
        (text(processing("A", {"Get": "Execution.Nope"})), "no execution variable Nope"),
        (text(processing("A", {"Get": "Nope.X"})), "'Nope.X' is no reference"),
        (text(processing("A", {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.X"}]}})), "the parameter X, which is not declared"),
        (text(processing("A", DependsOn=["B"])), "depends on B, which does not exist"),
        (text(processing("A", {"Get": "Steps.B.X"}), processing("B", DependsOn=["A"])), "form a cycle: A -> B -> A"),
        (text(processing("A", DependsOn=["F"]), {"Name": "F", "Type": "Fail", "Arguments": {}}), "nothing can come after one"),
        (text(condition("C", condition("D", processing("A")))), "can't be nested"),
        (text(processing("A", DependsOn=[{"Step": "B", "Trigger": "Soon"}]), processing("B")), "DependsOn of the step A"),
        (text(processing("A", CacheConfig={"Enabled": True, "ExpireAfter": "a month"})), "no ISO 8601 duration"),
        (text(processing("A", RetryPolicies=[{"ExceptionType": ["Nope"]}])), "ExceptionType Nope"),
        (
            text(processing("A", RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}])),
            "MaxAttempts must lie between 1 and 20",
        ),
        (
            text(processing("A"), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "x"}]),
            "default value of the parameter P is no Integer",
        ),
        (text(processing("A"), Parameters=[{"Name": f"P{i}", "Type": "String"} for i in range(201)]), "200 are allowed"),
        (
            text(processing("A", {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.B.PropertyFiles.F"}, "Path": "x"}}), processing("B")),
            "the property file F, which B does not declare",
        ),
        (
            text({"Name": "F", "Type": "Fail", "Arguments": {}, "RetryPolicies": [{"ExceptionType": ["Step.THROTTLING"]}]}),
            "a step of type Fail can't have",
        ),
        (text(choice({"Type": "Almost", "LeftValue": 1, "RightValue": 1})), "there is no condition of type 'Almost'"),
        (text(choice({"Type": "Not", "Condition": {"Type": "Equals", "LeftValue": 1}})), "of type Equals needs RightValue"),
        (text(choice({"Type": "Or", "Conditions": CONDITION})), "Conditions of a condition of type Or must be a list"),
        (text(processing("A"), Parameters=["P"]), "Parameters of the definition holds 'P', which is no object"),
        (text(processing("A"), Parameters={"Name": "P"}), "Parameters of the definition must be a list"),
        (text(processing("A", {"Std:Join": ["a", "b"]})), "Std:Join needs a list of Values"),
        (text(processing("A", {"Std:JsonGet": "a.b"})), "Std:JsonGet needs a Path"),
        (
            text(processing("A", PropertyFiles=[{"OutputName": "o", "FilePath": "f"}])),
            "A property file of the step A has no PropertyFileName",
        ),
        (text(processing("A", DependsOn="B")), "DependsOn of the step A must be a list"),
        (text(processing("A", CacheConfig=True)), "CacheConfig must be an object"),
        (text(processing("A", RetryPolicies=["often"])), "RetryPolicies of the step A holds 'often'"),
        (
            text(processing("A", RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": "3"}])),
            "MaxAttempts must lie between 1 and 20",
        ),
        (
            text(processing("A", RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "BackoffRate": "2"}])),
            "BackoffRate must be a number",
        ),
    ],
)
def test_a_wrong_definition_is_refused_with_the_reason(definition: str, message: str) -> None:
    with pytest.raises(CloudError) as raised:
        parse(definition)
    assert raised.value.code == "ValidationException"
    assert message in raised.value.message


def test_a_step_that_is_not_interpreted_is_named() -> None:
    with pytest.raises(CloudError, match=r"a pipeline step of type Lambda \(step Notify\)") as raised:
        parse(text({"Name": "Notify", "Type": "Lambda", "Arguments": {}}))
    assert raised.value.code == "NotImplemented"


def test_dependencies_come_from_names_references_and_branches() -> None:
    parsed = parse(text(condition("C", processing("A", {"Get": "Steps.B.X"})), processing("B", DependsOn=["D"]), processing("D")))
    assert {d.step for d in parsed.steps["A"].dependencies} == {"B", "C"}
    assert [d.step for d in parsed.steps["B"].dependencies] == ["D"]
    assert parsed.steps["C"].dependencies == ()


class Values:
    """A scope of fixed values."""

    def parameter(self, name: str) -> Any:
        return {"N": 3, "T": "text", "B": True, "F": 0.5}[name]

    def variable(self, name: str) -> Any:
        return f"<{name}>"

    def step_properties(self, name: str) -> Any:
        return {"Outputs": [{"OutputName": "a", "Uri": "s3://a"}, {"OutputName": "b.c", "Uri": "s3://b"}], "Deep": {"List": [[1], [2]]}}

    def property_file_uri(self, step: str, name: str) -> str:
        return f"s3://files/{step}/{name}"

    def read_json(self, uri: str) -> Any:
        return {"uri": uri, "metrics": [{"auc": {"value": 0.9}}], "passed": False}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Get": "Parameters.N"}, 3),
        ({"Get": "Execution.PipelineName"}, "<PipelineName>"),
        ({"Get": "Steps.S.Outputs['a'].Uri"}, "s3://a"),
        ({"Get": "Steps.S.Outputs['b.c'].Uri"}, "s3://b"),
        ({"Get": "Steps.S.Deep.List[1][0]"}, 2),
        (
            {"Std:Join": {"On": "/", "Values": ["x", {"Get": "Parameters.N"}, {"Get": "Parameters.B"}, {"Get": "Parameters.F"}]}},
            "x/3/true/0.5",
        ),
        ({"Std:Join": {"On": "", "Values": [{"Std:Join": {"On": "-", "Values": ["a", "b"]}}, "c"]}}, "a-bc"),
        ({"Std:JsonGet": {"PropertyFile": {"Get": "Steps.S.PropertyFiles.F"}, "Path": "metrics[0].auc.value"}}, 0.9),
        (
            {"Std:JsonGet": {"S3Uri": {"Std:Join": {"On": "", "Values": ["s3://x/", {"Get": "Parameters.T"}]}}, "Path": "uri"}},
            "s3://x/text",
        ),
        ({"a": [{"Get": "Parameters.T"}, 1], "b": {"c": None}}, {"a": ["text", 1], "b": {"c": None}}),
    ],
)
def test_an_expression_has_the_value_that_it_names(expression: Any, value: Any) -> None:
    assert resolve(expression, Values()) == value


@pytest.mark.parametrize("path", ["Nope", "Deep.List[7]", "Outputs['x']", "Deep.List[0].Key", "Deep..["])
def test_a_path_to_nothing_has_no_value(path: str) -> None:
    with pytest.raises(Unresolved):
        look_up(Values().step_properties("S"), path)


NAN = float("nan")


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"Type": "Equals", "LeftValue": "a", "RightValue": "a"}, True),
        ({"Type": "Equals", "LeftValue": 1, "RightValue": 1.0}, True),
        ({"Type": "Equals", "LeftValue": True, "RightValue": 1}, False),
        ({"Type": "Equals", "LeftValue": "True", "RightValue": True}, False),
        ({"Type": "Equals", "LeftValue": NAN, "RightValue": NAN}, False),
        ({"Type": "GreaterThan", "LeftValue": 2, "RightValue": 1}, True),
        ({"Type": "GreaterThanOrEqualTo", "LeftValue": NAN, "RightValue": 0}, False),
        ({"Type": "LessThan", "LeftValue": NAN, "RightValue": 1}, False),
        ({"Type": "LessThanOrEqualTo", "LeftValue": 1, "RightValue": 1}, True),
        ({"Type": "In", "QueryValue": "b", "Values": ["a", "b"]}, True),
        ({"Type": "In", "QueryValue": "c", "Values": ["a", "b"]}, False),
        ({"Type": "Not", "Condition": CONDITION}, False),
        ({"Type": "Or", "Conditions": [{"Type": "Not", "Condition": CONDITION}, CONDITION]}, True),
    ],
)
def test_a_condition_holds_or_not(given: dict[str, Any], answer: bool) -> None:
    assert holds(given) is answer


@pytest.mark.parametrize("given", [{"Type": "Nope"}, {"Type": "LessThan", "LeftValue": "1", "RightValue": 2}])
def test_what_can_not_be_compared_is_an_error_and_no_answer(given: dict[str, Any]) -> None:
    with pytest.raises(BadCondition):
        holds(given)


def test_retries_back_off_until_there_were_enough() -> None:
    policy = RetryPolicy.parse("S", {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 10, "BackoffRate": 3.0, "MaxAttempts": 2})
    assert [policy.delay(attempt, 0) for attempt in (1, 2, 3)] == [10, 30, None]
    until = RetryPolicy.parse("S", {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 10, "ExpireAfterMin": 1})
    assert until.delay(1, 45) == 10
    assert until.delay(1, 55) is None


@pytest.mark.parametrize(
    ("duration", "seconds"), [("P30D", 30 * 86400), ("PT1H30M", 5400), ("p1w", 7 * 86400), ("P1DT1S", 86401), ("P1Y", 365 * 86400)]
)
def test_a_cache_expires_after_an_iso_duration(duration: str, seconds: int) -> None:
    cache = Cache.parse("S", {"Enabled": True, "ExpireAfter": duration})
    assert cache is not None
    assert cache.expire_after == timedelta(seconds=seconds)
    assert Cache.parse("S", {"Enabled": False, "ExpireAfter": duration}) is None


def states(definition: str, **given: str) -> dict[str, StepRun]:
    runs = {name: StepRun(step) for name, step in parse(definition).steps.items()}
    for name, status in given.items():
        runs[name].status = status
    return runs


def ready(runs: dict[str, StepRun]) -> list[str]:
    return [run.step.name for run in next_steps(runs)]


class TestSchedule:
    CHAIN = text(processing("A"), processing("B", DependsOn=["A"]), processing("C", DependsOn=["B"]), processing("X"))

    def test_a_step_waits_for_what_it_depends_on(self) -> None:
        assert ready(states(self.CHAIN)) == ["A", "X"]
        assert ready(states(self.CHAIN, A="Executing", X="Succeeded")) == []
        assert ready(states(self.CHAIN, A="Succeeded", X="Executing")) == ["B"]

    def test_after_a_failure_nothing_new_starts_and_what_depended_on_it_never_will(self) -> None:
        runs = states(self.CHAIN, A="Failed")
        assert ready(runs) == []
        assert (runs["B"].skipped, runs["C"].skipped, runs["X"].skipped) == (True, True, False)

    def test_a_trigger_reacts_to_its_status_alone(self) -> None:
        steps = text(processing("A"), *(processing(t, DependsOn=[{"Step": "A", "Trigger": t}]) for t in ("Failed", "Stopped", "Any")))
        assert ready(states(steps, A="Failed")) == ["Failed", "Any"]
        assert ready(states(steps, A="Succeeded")) == ["Any"]

    def test_the_branch_not_taken_never_runs_nor_what_depends_on_it(self) -> None:
        runs = states(text(condition("C", processing("In")), processing("After", DependsOn=["In"])), C="Succeeded")
        runs["C"].outcome = False
        assert ready(runs) == []
        assert runs["In"].skipped
        assert runs["After"].skipped


def test_names_of_what_steps_make_fit_and_differ() -> None:
    names = {resource_name("abcdefghijkl", "A_very_long_name_of_a_step_that_goes_on_and_on_and_on", None) for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) <= 63 and name.startswith("pipelines-abcdefghijkl-A-very-long") and "_" not in name for name in names)
