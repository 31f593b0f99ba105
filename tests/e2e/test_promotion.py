"""Promotions by the real pipelines, under a steady load of 50 requests a second."""

from __future__ import annotations

import json
import urllib.request

from lockstep.demo.live_requests import UNSEEN_EVERY, live_requests
from lockstep.demo.traffic import Traffic
from tests.e2e.conftest import RATE, WORKLOAD, Rollout
from tests.e2e.rehearsal import Rehearsal
from tests.e2e.rights import DUTIES, UNUSED, granted, role_arn

# The shipped canary: one instance of two.
CANARY_SHARE = 0.5


def test_a_good_release_loses_no_request(good: Rollout) -> None:
    good.done.ok()
    assert good.tally.errors() == {}
    assert good.tally.sent > 200
    assert good.before["EndpointConfigName"] != good.after["EndpointConfigName"]
    assert good.after["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in good.after


def test_a_bad_release_is_rolled_back_and_says_so(bad: Rollout) -> None:
    assert bad.done.code == 4, bad.done.output
    assert "rolled back" in bad.done.output
    assert bad.after["EndpointConfigName"] == bad.before["EndpointConfigName"]
    assert bad.after["EndpointStatus"] == "InService"


def test_only_what_the_canary_answered_can_fail(bad: Rollout, chain: Rehearsal) -> None:
    failed = [answer for answer in bad.tally.answers if not answer.ok]
    assert failed, "the second candidate's fault never showed"
    bodies = len(live_requests(WORKLOAD))
    assert {answer.request % bodies % UNSEEN_EVERY for answer in failed} == {0}
    assert {answer.error for answer in failed} == {"ModelError"}
    assert len(failed) / bad.tally.sent <= CANARY_SHARE

    name = chain.outputs("staging")["endpoint"]["name"]
    unseen = live_requests(WORKLOAD, unseen_every=1)
    with Traffic(chain.session("staging"), name, unseen, content_type="text/csv", rate=RATE, limit=100) as afterwards:
        afterwards.finish()
    assert afterwards.tally.sent == 100
    assert afterwards.tally.errors() == {}


def test_the_promotion_role_alone_may_update_endpoints(chain: Rehearsal) -> None:
    outputs = chain.outputs("staging")
    iam = chain.session("staging").client("iam")

    def decisions(role: str) -> set[str]:
        request = {"aws:PrincipalArn": outputs["roles"][role], "aws:ResourceAccount": outputs["account_id"]}
        answer = iam.simulate_principal_policy(
            PolicySourceArn=outputs["roles"][role],
            ActionNames=["sagemaker:UpdateEndpoint"],
            ResourceArns=[outputs["endpoint"]["arn"]],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]} for key, value in request.items()
            ],
        )
        return {each["EvalDecision"] for each in answer["EvaluationResults"]}

    assert decisions("promotion") == {"allowed"}
    others = set(outputs["roles"]) - {"promotion"}
    assert others
    assert all("allowed" not in decisions(role) for role in others)


def test_no_role_lacks_a_right_nor_has_one_without_a_reason(bad: Rollout, chain: Rehearsal) -> None:
    with urllib.request.urlopen(f"{chain.variables('dev')['AWS_ENDPOINT_URL']}/_lockstep/rights") as answer:
        rights = json.loads(answer.read())
    assert rights["refused"] == {}
    for duty in DUTIES:
        used = {action for name in ("dev", "staging") for action in rights["used"].get(role_arn(name, duty), {})}
        given = {action for name in ("dev", "staging") for action in granted(name, duty)}
        assert sorted(given - used - set(UNUSED[duty])) == [], duty
        assert sorted(set(UNUSED[duty]) - given) == [], duty


def test_pulumi_up_leaves_releases_alone(bad: Rollout, chain: Rehearsal) -> None:
    chain.pulumi("staging", "preview", "--expect-no-changes").ok()
    chain.pulumi("staging", "preview", "--refresh", "--expect-no-changes").ok()
    chain.up("staging")
    name = chain.outputs("staging")["endpoint"]["name"]
    now = chain.session("staging").client("sagemaker").describe_endpoint(EndpointName=name)
    assert now["EndpointConfigName"] == bad.after["EndpointConfigName"]
    assert now["LastModifiedTime"] == bad.after["LastModifiedTime"]


def test_operations_on_what_serves(bad: Rollout, chain: Rehearsal) -> None:
    """An edit reaches the fleet through redeploy alone; a lost endpoint comes back through pulumi up and restore."""
    client = chain.session("staging").client("sagemaker")
    outputs = chain.outputs("staging")
    name = outputs["endpoint"]["name"]

    def live() -> tuple[str, int]:
        described = client.describe_endpoint(EndpointName=name)
        return described["EndpointConfigName"], described["ProductionVariants"][0]["CurrentInstanceCount"]

    released = live()
    assert released[1] == 2
    chain.edit("staging", {("serving", "instanceCount"): 3})
    chain.up("staging")
    assert live() == released

    # Nobody sends requests: autoscaling would take the third instance away again as soon as it serves.
    scaling = chain.session("staging").client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{outputs['serving']['variant_name']}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingInSuspended": True})
    chain.lockstep("redeploy", "staging").ok()
    redeployed = live()
    assert redeployed[0] != released[0]
    assert redeployed[1] == 3
    scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingInSuspended": False})

    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    chain.up("staging", refresh=True)
    assert live()[0] == outputs["endpoint"]["bootstrap_config_name"]
    chain.lockstep("restore", "staging").ok()
    assert live()[0] not in (outputs["endpoint"]["bootstrap_config_name"], "")
    answer = json.loads(
        chain.session("staging")
        .client("sagemaker-runtime")
        .invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=live_requests(WORKLOAD, count=1)[0])["Body"]
        .read()
    )
    assert answer["workload"] == WORKLOAD
    assert answer["model"] != "bootstrap"
