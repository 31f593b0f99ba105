"""Policies: exact statements where another account is let in, and rules that all of them keep."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from infra import grants
from infra.boundary import SIZE_LIMIT, boundary_document, duty_actions
from infra.documents import Statement
from infra.duties import KeyArns, permissions, trust
from infra.naming import Duty
from infra.site import Site
from tests.infra.rendering import PROJECT, STACKS, Rendered

STAGING_PROMOTION = "arn:aws:iam::222222222222:role/lockstep-staging-promotion"
INLINE_LIMIT = 10_240
KEY = "arn:aws:kms:us-east-1:{account}:key/00000000-0000-0000-0000-000000000000"
SIGNING = {"NoUnsignedApproval", "ApprovalIsOnesOwn", "RequestIsOnesOwn"}
DUTIES: tuple[Duty, ...] = get_args(Duty)


def statements(text: str) -> dict[str, Statement]:
    """Statements by their Sid, which must be unique."""
    document = json.loads(text)
    assert document["Version"] == "2012-10-17"
    found = {each["Sid"]: each for each in document["Statement"]}
    assert len(found) == len(document["Statement"])
    return found


def duties(site: Site, duty: Duty) -> list[Statement]:
    arn = KEY.format(account=site.names.account_id)
    return permissions(site, duty, KeyArns(data=arn, artefacts=arn, ledger=arn, operations=arn))


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def tls_deny(service: str, resources: Any = None) -> Statement:
    made: Statement = {"Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": "*", "Action": f"{service}:*"}
    if resources is not None:
        made["Resource"] = resources
    return {**made, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}


def test_the_artefacts_bucket_lets_the_next_promotion_read_and_nothing_else(sites: dict[str, Site]) -> None:
    arn = "arn:aws:s3:::lockstep-dev-artefacts-111111111111"
    reader = {"Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Effect": "Allow"}
    only = {"ArnEquals": {"aws:PrincipalArn": STAGING_PROMOTION}}
    assert statements(grants.bucket_policy(sites["dev"], "artefacts")) == {
        "DenyWithoutTls": tls_deny("s3", [arn, f"{arn}/*"]),
        "NextEnvironmentReads": {
            **reader,
            "Sid": "NextEnvironmentReads",
            "Action": "s3:GetObject",
            "Resource": [f"{arn}/models/*", f"{arn}/runs/*"],
            "Condition": only,
        },
    }


def test_the_ledger_says_what_it_does_not_hold(sites: dict[str, Site]) -> None:
    found = statements(grants.bucket_policy(sites["dev"], "ledger"))
    assert set(found) == {"DenyWithoutTls", "NextEnvironmentReads", "NextEnvironmentSeesAbsence", "PromotionAloneWrites"}
    seen = found["NextEnvironmentSeesAbsence"]
    assert (seen["Action"], seen["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::lockstep-dev-ledger-111111111111")
    mine = {each["Sid"]: each for each in duties(sites["staging"], "promotion")}["SeeAbsentEvidence"]
    assert (mine["Action"], mine["Resource"]) == (seen["Action"], seen["Resource"])


@pytest.mark.parametrize("stack", STACKS)
def test_the_promotion_alone_writes_evidence(sites: dict[str, Site], stack: str) -> None:
    site = sites[stack]
    assert statements(grants.bucket_policy(site, "ledger"))["PromotionAloneWrites"] == promotion_alone_writes(site)
    assert statements(boundary_document(site))["EvidenceByPromotionAlone"] == {
        "Sid": "EvidenceByPromotionAlone",
        "Effect": "Deny",
        "Action": ["dynamodb:PutItem", "s3:PutObject"],
        "Resource": [site.names.journal_arn, f"{site.names.bucket_arn('ledger')}/*"],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": site.names.role_arn("promotion")}},
    }


def promotion_alone_writes(site: Site) -> Statement:
    return {
        "Sid": "PromotionAloneWrites",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:ReplicateObject"],
        "Resource": f"{site.names.bucket_arn('ledger')}/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": site.names.role_arn("promotion")}},
    }


def test_the_key_of_artefacts_lets_the_next_promotion_decrypt_through_s3_alone(sites: dict[str, Site]) -> None:
    found = statements(grants.key_policy(sites["dev"], "artefacts"))
    assert set(found) == {"AccountAdministers", "NextEnvironmentDecrypts"}
    assert found["NextEnvironmentDecrypts"] == {
        "Sid": "NextEnvironmentDecrypts",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {
            "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
            "ArnEquals": {"aws:PrincipalArn": STAGING_PROMOTION},
        },
    }


def test_the_workload_repository_lets_the_next_promotion_pull(sites: dict[str, Site]) -> None:
    assert statements(grants.repository_policy(sites["dev"], "workload")) == {
        "DenyWithoutTls": tls_deny("ecr"),
        "NextEnvironmentPulls": {
            "Sid": "NextEnvironmentPulls",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {"ArnEquals": {"aws:PrincipalArn": STAGING_PROMOTION}},
        },
    }


def test_the_package_group_lets_the_next_promotion_read(sites: dict[str, Site]) -> None:
    found = statements(grants.package_group_policy(sites["dev"]))
    assert set(found) == {"DenyWithoutTls", *SIGNING, "NextEnvironmentReadsPackages"}
    packages = found["NextEnvironmentReadsPackages"]
    assert packages["Action"] == "sagemaker:DescribeModelPackage"
    assert packages["Resource"] == "arn:aws:sagemaker:us-east-1:111111111111:model-package/lockstep-dev-mortgage/*"


def test_at_the_end_of_the_chain_nobody_is_let_in(sites: dict[str, Site]) -> None:
    prod = sites["prod"]
    for purpose in ("data", "artefacts", "capture", "ledger"):
        arn = prod.names.bucket_arn(purpose)
        found = statements(grants.bucket_policy(prod, purpose))
        if purpose == "ledger":
            assert found.pop("PromotionAloneWrites") == promotion_alone_writes(prod)
        assert found == {"DenyWithoutTls": tls_deny("s3", [arn, f"{arn}/*"])}
    assert statements(grants.repository_policy(prod, "workload")) == {"DenyWithoutTls": tls_deny("ecr")}
    assert set(statements(grants.package_group_policy(prod))) == {"DenyWithoutTls", *SIGNING}
    assert set(statements(grants.key_policy(prod, "artefacts"))) == {"AccountAdministers"}


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_next_account_is_ever_let_in(rendered: dict[str, Rendered], sites: dict[str, Site], stack: str) -> None:
    site = sites[stack]
    allowed = {site.names.account_id, *([site.target.account_id] if site.target else [])}
    for each in rendered[stack].aws:
        for key in ("policy", "resourcePolicy"):
            text = each.inputs.get(key)
            if text is None or each.token.startswith(("aws:iam/", "aws:ec2/", "aws:ecr/lifecycle")):
                continue
            for one in statements(text).values():
                if one["Effect"] == "Allow" and "AWS" in one["Principal"]:
                    account = one["Principal"]["AWS"].split(":")[4]
                    assert account in allowed, each.name
                    if account != site.names.account_id:
                        assert site.target is not None
                        assert one["Condition"]["ArnEquals"] == {"aws:PrincipalArn": site.target.role_arn("promotion")}
                        assert all(_reads(action) for action in listed(one["Action"])), one


def _reads(action: str) -> bool:
    return action.split(":")[1].startswith(("Get", "List", "Describe", "Batch", "Decrypt"))


def test_data_capture_logs_and_operations_are_nobody_else_s(sites: dict[str, Site]) -> None:
    for purpose in ("data", "capture", "logs"):
        assert "222222222222" not in grants.bucket_policy(sites["dev"], purpose)
    for key in ("data", "operations"):
        assert "222222222222" not in grants.key_policy(sites["dev"], key)
    assert "222222222222" not in grants.repository_policy(sites["dev"], "toolkit")


def test_what_a_promotion_may_read_is_what_the_source_grants(sites: dict[str, Site]) -> None:
    dev, staging = sites["dev"], sites["staging"]
    mine = {each["Sid"]: each for each in duties(staging, "promotion")}
    theirs = statements(grants.bucket_policy(dev, "artefacts")) | {
        f"Ledger{sid}": each for sid, each in statements(grants.bucket_policy(dev, "ledger")).items()
    }
    granted = listed(theirs["NextEnvironmentReads"]["Resource"]) + listed(theirs["LedgerNextEnvironmentReads"]["Resource"])
    assert sorted(mine["ReadSourceObjects"]["Resource"]) == sorted(granted)
    assert mine["ReadWithSourceKeys"] == {
        "Sid": "ReadWithSourceKeys",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": "arn:aws:kms:us-east-1:111111111111:key/*",
        "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/lockstep-dev-artefacts", "alias/lockstep-dev-ledger"]}},
    }
    assert mine["PullSourceImages"]["Resource"] == dev.names.repository_arn("workload")
    assert not any(each["Sid"].startswith(("ReadSource", "ReadWithSource", "PullSource")) for each in duties(dev, "promotion"))


@pytest.mark.parametrize("stack", STACKS)
def test_promotion_alone_may_shift_traffic(sites: dict[str, Site], stack: str) -> None:
    site = sites[stack]
    for duty in DUTIES:
        actions = {action for each in duties(site, duty) for action in listed(each["Action"])}
        assert ("sagemaker:UpdateEndpoint" in actions) == (duty == "promotion")
        assert not actions & {"sagemaker:UpdateEndpointWeightsAndCapacities", "sagemaker:DeleteEndpoint", "sagemaker:CreateEndpoint"}
    boundary = statements(boundary_document(site))
    assert boundary["RolloutsByPromotionAlone"] == {
        "Sid": "RolloutsByPromotionAlone",
        "Effect": "Deny",
        "Action": ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
        "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": site.names.role_arn("promotion")}},
    }


@pytest.mark.parametrize("stack", STACKS)
def test_no_duty_is_wide(sites: dict[str, Site], stack: str) -> None:
    site = sites[stack]
    for duty in DUTIES:
        for each in duties(site, duty):
            assert each["Effect"] == "Allow"
            assert not [action for action in listed(each["Action"]) if "*" in action], (duty, each["Sid"])
            if "*" in listed(each["Resource"]) and "Condition" not in each:
                allowed = ("List", "Describe", "GetAuthorizationToken", "GetMetric")
                assert all(action.split(":")[1].startswith(allowed) for action in listed(each["Action"])), each
            for passed in listed(each["Resource"]) if "iam:PassRole" in listed(each["Action"]) else []:
                assert passed.startswith(f"arn:aws:iam::{site.names.account_id}:role/lockstep-{stack}-")
                assert each["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize("stack", STACKS)
def test_the_boundary_holds_the_duties_and_nothing_wide(sites: dict[str, Site], stack: str) -> None:
    text = boundary_document(sites[stack])
    assert len(text) <= SIZE_LIMIT
    found = statements(text)
    ceiling = found["DutiesAtMost"]["Action"]
    assert ceiling == duty_actions(sites[stack])
    assert not [action for action in ceiling if "*" in action]
    assert {sid for sid, each in found.items() if each["Effect"] == "Allow"} == {"DutiesAtMost"}
    assert found["NetworkAlways"]["Condition"] == {"Null": {"sagemaker:VpcSubnets": "true"}}
    assert found["ModelsIsolated"]["Condition"] == {"BoolIfExists": {"sagemaker:NetworkIsolation": "false"}}
    assert found["TrafficEncrypted"]["Condition"] == {"BoolIfExists": {"sagemaker:InterContainerTrafficEncryption": "false"}}
    readable = found["NoReadsElsewhere"]["Condition"]["StringNotEquals"]["aws:ResourceAccount"]
    source = sites[stack].source
    assert readable == [sites[stack].names.account_id, *([source.account_id] if source else [])]


@pytest.mark.parametrize("stack", STACKS)
def test_every_role_is_bounded_and_trusts_one_service_of_this_account(rendered: dict[str, Rendered], stack: str) -> None:
    for role in rendered[stack].of("aws:iam/role:Role"):
        assert role.inputs["permissionsBoundary"].endswith("roles-boundary")
        trusted = statements(role.inputs["assumeRolePolicy"])["ServiceAssumes"]
        assert list(trusted["Principal"]) == ["Service"]
        assert trusted["Condition"]["StringEquals"]["aws:SourceAccount"] in rendered[stack].one("aws").inputs["allowedAccountIds"]
    for policy in rendered[stack].of("aws:iam/rolePolicy:RolePolicy"):
        assert len(policy.inputs["policy"]) <= INLINE_LIMIT


def test_services_that_assume_roles(sites: dict[str, Site]) -> None:
    services = {duty: statements(trust(sites["dev"], duty))["ServiceAssumes"]["Principal"]["Service"] for duty in DUTIES}
    assert services == {
        "jobs": "sagemaker.amazonaws.com",
        "serving": "sagemaker.amazonaws.com",
        "promotion": "sagemaker.amazonaws.com",
        "pipelines": "sagemaker.amazonaws.com",
        "events": "events.amazonaws.com",
        "flow-logs": "vpc-flow-logs.amazonaws.com",
    }


@pytest.mark.parametrize("duty", ["jobs", "promotion"])
def test_roles_register_as_approval_says_and_sign_for_nobody(sites: dict[str, Site], duty: Duty) -> None:
    def registration(stack: str) -> Any:
        return next(each for each in duties(sites[stack], duty) if each["Sid"] == "RegisterCandidates")["Condition"]

    unsigned = {f"sagemaker:CustomerMetadataProperties/{key}": "true" for key in grants.SIGNATURES}
    assert registration("dev")["StringEqualsIfExists"] == {"sagemaker:ModelApprovalStatus": ["PendingManualApproval"]}
    assert registration("staging")["StringEqualsIfExists"] == {"sagemaker:ModelApprovalStatus": ["Approved", "PendingManualApproval"]}
    assert registration("dev")["Null"] == registration("staging")["Null"] == unsigned


@pytest.mark.parametrize("stack", STACKS)
def test_no_role_approves_whatever_is_attached_to_it(sites: dict[str, Site], stack: str) -> None:
    rule = statements(boundary_document(sites[stack]))["PeopleApprove"]
    assert rule["Condition"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}}
    manual = sites[stack].config.promotion.approval == "manual"
    assert listed(rule["Action"]) == ["sagemaker:UpdateModelPackage", *(["sagemaker:CreateModelPackage"] if manual else [])]
    others = [each for duty in DUTIES for each in duties(sites[stack], duty) if "sagemaker:UpdateModelPackage" in listed(each["Action"])]
    assert [each["Condition"]["StringEqualsIfExists"] for each in others] == [{"sagemaker:ModelApprovalStatus": "Rejected"}]


def test_an_approval_is_signed_and_nobody_signs_for_another(sites: dict[str, Site]) -> None:
    found = statements(grants.package_group_policy(sites["prod"]))
    assert all(found[sid]["Effect"] == "Deny" and found[sid]["Principal"] == "*" for sid in SIGNING)
    key = "sagemaker:CustomerMetadataProperties/approval-signed-by"
    assert found["NoUnsignedApproval"]["Condition"] == {
        "Null": {key: "true"},
        "StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"},
    }
    assert found["ApprovalIsOnesOwn"]["Condition"] == {"Null": {key: "false"}, "StringNotEquals": {key: "${aws:userid}"}}
    assert found["ApprovalIsOnesOwn"]["Action"] == ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"]


def test_the_s3_endpoint_names_this_chain_s_buckets(rendered: dict[str, Rendered]) -> None:
    found = statements(rendered["staging"].one("network-s3").inputs["policy"])
    assert set(found) == {"OwnBuckets", "ImageLayers", "SourceBuckets"}
    assert found["ImageLayers"]["Resource"] == "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"
    assert found["SourceBuckets"]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": STAGING_PROMOTION}}
    text = json.dumps(found)
    assert "lockstep-prod-" not in text
    assert "lockstep-dev-data" not in text


def test_the_service_control_policy_in_the_docs_names_what_prod_has(sites: dict[str, Site]) -> None:
    page = (PROJECT / "docs" / "aws.md").read_text().partition("## What the policies can't stop\n")[2]
    found = statements(page[page.index("    {\n") : page.index("\n    }\n") + 6])
    names = sites["prod"].names
    alone, stays = found["TrafficAndEvidenceByPromotionAlone"], found["PromotionStaysWhatItIs"]
    assert alone["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": names.role_arn("promotion")}}
    assert alone["Resource"] == [f"{names.bucket_arn('ledger')}/*", names.endpoint_arn, names.arn("sagemaker", "endpoint-config/*")]
    rollouts = {"sagemaker:DeleteEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"}
    assert {*alone["Action"]} == {*promotion_alone_writes(sites["prod"])["Action"], *rollouts}
    assert stays["Resource"] == [names.role_arn("pipelines"), names.role_arn("promotion")]
