"""Who asked and who approved: what AWS attests counts, what anybody may write does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.config import load_all
from infra.errors import PreflightError
from infra.grants import SIGNATURES, package_group_policy
from infra.naming import Names
from infra.site import Site as Environment
from lockstep.context import stacks_folder
from pipelines.promotion import approval
from pipelines.promotion.people import Identity
from pipelines.promotion.plan import Order
from tests.promotion.conftest import SPEED
from tests.promotion.environment import make_outputs
from tests.promotion.flow import ledger, release, run
from tests.promotion.site import Site
from tests.promotion.world import World, said_by


def who(session: str, **more: str) -> Identity:
    found = Identity.told(said_by(session, **more), "a test")
    assert found is not None
    return found


def user(name: str) -> Identity:
    return Identity(principal_id=f"AIDA{name.upper()}", arn=f"arn:aws:iam::111111111111:user/{name}", read_from="a test")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (who("data/ann"), who("admin/ann"), True),
        (who("data/Ann@example.com"), who("admin/ann@EXAMPLE.com"), True),
        (who("data/ann"), who("data/bob"), False),
        (who("data/ann"), user("ann"), True),
        (user("ann"), user("bob"), False),
        (who("studio/SageMaker", SourceIdentity="ann"), who("studio/SageMaker", SourceIdentity="bob"), False),
        (who("studio/SageMaker", SourceIdentity="ann"), who("studio/SageMaker"), True),
        (who("data/botocore-session-1", SourceIdentity="ann"), who("admin/ann"), True),
    ],
)
def test_persons_are_compared_and_not_roles(one: Identity, other: Identity, same: bool) -> None:
    assert one.is_same_person(other) is other.is_same_person(one) is same


@pytest.mark.parametrize("name", ["botocore-session-1700000000", "aws-go-sdk-1700000000", "SageMaker", "1700000000000", "AWSCLI-Session"])
def test_a_session_name_that_an_sdk_made_up_names_nobody(name: str) -> None:
    assert who(f"data/{name}").names == frozenset()
    assert who(f"data/{name}", SourceIdentity="ann").names == {"ann"}


def manual() -> World:
    outputs = make_outputs()
    return World(outputs.model_copy(update={"promotion": outputs.promotion.model_copy(update={"approval": "manual"})}))


def approved(world: World, by: Any, signed_by: str | None = None, asked: Any = None, **metadata: str) -> str:
    """A package that `by` changed last, signed by the principal `signed_by` (by default the same), in a run that `asked` started."""
    identity = (by or {}).get("IamIdentity", {})
    signature = identity.get("PrincipalId", "") if signed_by is None else signed_by
    arn = world.add_package(len(world.packages) + 1, **({approval.APPROVED: signature} if signature else {}), **metadata)
    world.packages[arn] |= {"LastModifiedBy": by} if by else {}
    world.runs[world.packages[arn]["MetadataProperties"]["GeneratedBy"]] = {"CreatedBy": asked} if asked else {}
    return arn


ANN, BOB = said_by("data/ann"), said_by("data/bob")
ANNS = {approval.REQUESTED: "AROADATA:ann"}


@pytest.mark.parametrize(
    ("by", "more", "words"),
    [
        (None, {"asked": ANN}, "AWS does not say who approved it"),
        (BOB, {"asked": ANN, "signed_by": ""}, "approved without a signature"),
        (ANN, {"asked": BOB, "signed_by": "AROADATA:cleo"}, "signed by AROADATA:cleo, but .*/ann changed the package last"),
        (ANN, {"asked": ANN}, "ann approved what they had asked for"),
        (said_by("admin/ann"), {"asked": ANN}, "ann approved what they had asked for"),
        (ANN, ANNS, "ann approved what they had asked for"),
        (ANN, {"asked": BOB, **ANNS}, "ann approved what they had asked for"),
        (BOB, {}, "does not say who asked for it"),
        (said_by("lockstep-dev-promotion/SageMaker"), {"asked": ANN}, "is a duty's role"),
        (said_by("lockstep-dev-jobs/ann"), {"asked": BOB}, "is a duty's role"),
        (said_by("data/botocore-session-2"), {"asked": ANN}, "names no person"),
        (BOB, {"asked": said_by("data/botocore-session-1")}, "asked for in a session that names no person"),
    ],
)
def test_an_approval_that_aws_does_not_attest_is_refused_and_taken_back(by: Any, more: dict[str, Any], words: str) -> None:
    world = manual()
    arn = approved(world, by, **more)
    with pytest.raises(PreflightError, match=words) as raised:
        run(world, release(arn))
    assert (raised.value.where, world.updates) == (arn, [])
    assert world.packages[arn]["ModelApprovalStatus"] == "Rejected"
    (refused,) = ledger(world, "refusals/")
    told = {"read_from": "DescribeModelPackage LastModifiedBy"}
    assert (refused["last_modified_by"] or told)["read_from"] == told["read_from"]
    assert {each["principal_id"] for each in refused["requested_by"]} == _askers(more)
    # A later edit by somebody else does not make it their approval.
    world.packages[arn] |= {"LastModifiedBy": said_by("data/cleo")}
    with pytest.raises(PreflightError, match="the package is Rejected, not Approved"):
        run(world, release(arn))


def _askers(more: dict[str, Any]) -> set[str]:
    started = [more["asked"]["IamIdentity"]["PrincipalId"]] if "asked" in more else []
    return {*started, *([more[approval.REQUESTED]] if approval.REQUESTED in more else [])}


@pytest.mark.parametrize("more", [{"asked": ANN}, ANNS, {"asked": ANN, **ANNS}])
def test_another_persons_approval_counts_and_the_evidence_names_both_and_where_it_was_read(more: dict[str, Any]) -> None:
    world = manual()
    arn = approved(world, BOB, **more)
    world.packages[arn]["CustomerMetadataProperties"]["requested-by"] = "whoever"
    assert run(world, release(arn)).ending == "released"
    (story,) = ledger(world, "promotions/")
    assert story["approved_by"] == {
        "principal_id": "AROADATA:bob",
        "arn": BOB["IamIdentity"]["Arn"],
        "read_from": "DescribeModelPackage LastModifiedBy",
    }
    assert {each["principal_id"] for each in story["requested_by"]} == {"AROADATA:ann"}
    expected = {"asked": "CreatedBy", approval.REQUESTED: "CustomerMetadataProperties"}
    assert {each["read_from"].split()[1] for each in story["requested_by"]} == {expected[key] for key in more}
    assert (story["approval"], story["requested_by_claimed"]) == ("manual", "whoever")


def test_a_package_that_waits_is_refused_but_its_approval_is_not_taken_away() -> None:
    world = manual()
    arn = approved(world, BOB, asked=ANN)
    world.packages[arn]["ModelApprovalStatus"] = "PendingManualApproval"
    with pytest.raises(PreflightError, match="PendingManualApproval, not Approved"):
        run(world, release(arn))
    assert world.packages[arn]["ModelApprovalStatus"] == "PendingManualApproval"


def test_an_approval_judged_once_stands_when_a_redeploy_or_a_rollback_finds_the_package_changed_by_the_release_itself() -> None:
    world = manual()
    for _ in range(2):
        assert run(world, release(approved(world, BOB, asked=ANN))).ending == "released"
    world.runs["the run"] = {"CreatedBy": said_by("data/dora")}
    assert run(world, Order(operation="rollback", requested_by="a claim"), run="the run").ending == "released"
    story = next(story for story in ledger(world, "promotions/") if story["operation"] == "rollback")
    assert story["approval"] == "of the release before"
    assert [each["principal_id"] for each in story["requested_by"]] == ["AROADATA:dora"]


@pytest.mark.parametrize("maker", [None, ANN, said_by("lockstep-dev-serving/SageMaker")])
def test_a_package_registered_by_hand_is_refused_also_where_approval_is_automatic(maker: Any) -> None:
    world = World()
    arn = world.add_package(1)
    world.packages[arn]["CreatedBy"] = maker
    with pytest.raises(PreflightError, match="it was registered by") as raised:
        run(world, release(arn))
    assert "by hand" in str(raised.value.remedy)


def test_infra_and_promotion_mean_the_same_signatures() -> None:
    assert SIGNATURES == (approval.APPROVED, approval.REQUESTED)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cloud whose model package group has the policy that Pulumi gives it."""
    from local.cloud.server import running

    stacks = load_all(stacks_folder())
    policy = package_group_policy(Environment.of(stacks["dev"], stacks))
    with running(tmp_path_factory.mktemp("cloud"), speed=SPEED) as cloud:
        site = Site(cloud, promotion={"approval": "manual"})
        policy = policy.replace(Names.of(stacks["dev"]).model_package_group, site.outputs.model_package_group_name)
        site.sagemaker.put_model_package_group_policy(ModelPackageGroupName=site.outputs.model_package_group_name, ResourcePolicy=policy)
        yield site


def test_the_groups_policy_lets_nobody_approve_unsigned_or_sign_for_another(dev: Site) -> None:
    package = dev.package("signed", approval="PendingManualApproval")
    ann, bob = (dev.person(name).client("sagemaker") for name in ("ann", "bob"))
    own = {name: dev.person(name).client("sts").get_caller_identity()["UserId"] for name in ("ann", "bob")}

    def refused(client: Any, **change: Any) -> None:
        with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
            client.update_model_package(ModelPackageArn=package, **change)

    refused(ann, ModelApprovalStatus="Approved")
    refused(ann, ModelApprovalStatus="Approved", CustomerMetadataProperties={approval.APPROVED: own["bob"]})
    refused(ann, CustomerMetadataProperties={approval.REQUESTED: own["bob"]})
    ann.update_model_package(ModelPackageArn=package, CustomerMetadataProperties={approval.REQUESTED: own["ann"]})
    sign = {"ModelApprovalStatus": "Approved", "ModelPackageArn": package}
    ann.update_model_package(**sign, CustomerMetadataProperties={approval.APPROVED: own["ann"]})
    with pytest.raises(PreflightError, match="ann approved what they had asked for"):
        dev.execute("release", package, run="own")
    described = dev.sagemaker.describe_model_package(ModelPackageName=package)
    assert (described["ModelApprovalStatus"], described["ApprovalDescription"][:5]) == ("Rejected", "void:")

    package = dev.package("signed twice", approval="PendingManualApproval")
    ann.update_model_package(ModelPackageArn=package, CustomerMetadataProperties={approval.REQUESTED: own["ann"]})
    bob.update_model_package(**{**sign, "ModelPackageArn": package}, CustomerMetadataProperties={approval.APPROVED: own["bob"]})
    with dev.load():
        assert dev.execute("release", package, run="bob").ending == "released"
