"""`lockstep bootstrap` and `lockstep env`, against the embedded cloud through the standard AWS variables, as against AWS."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import boto3
import pytest
import yaml

from infra.naming import Duty, Names
from lockstep import context
from lockstep.bootstrap import identity, state
from lockstep.cloud_process import RunningCloud
from lockstep.main import run
from tests.lockstep.conftest import ROOT, Ran


@pytest.fixture
def names(project: Path) -> Names:
    return context.names("dev")


def actions(ran: Ran) -> set[str]:
    assert ran.code == 0, ran.err
    return {item["action"] for item in ran.json["items"]}


def test_it_plans_makes_and_then_keeps(lockstep: Callable[..., Ran], account: boto3.Session, names: Names) -> None:
    command = ("bootstrap", "dev", "--repository", "acme/models", "--yes", "--json")
    assert actions(lockstep(*command, "--plan")) == {"create"}
    assert account.client("s3").list_buckets()["Buckets"] == []
    assert actions(lockstep(*command)) == {"create"}
    assert actions(lockstep(*command)) == {"keep"}

    s3, bucket = account.client("s3"), state.state_bucket(names)
    assert bucket == "lockstep-dev-state-111111111111"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert rule["SSEAlgorithm"] == "aws:kms"
    assert rule["KMSMasterKeyID"].endswith(":alias/lockstep-dev-state")
    refused = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_nothing_is_made_where_nobody_can_be_asked(lockstep: Callable[..., Ran], account: boto3.Session) -> None:
    for arguments in ([], ["--json"]):
        ran = lockstep("bootstrap", "dev", *arguments)
        assert ran.code == 2
        assert "nobody is there to be asked" in (ran.json["error"]["message"] if arguments else ran.err)
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_it_means_aws_also_while_an_embedded_cloud_runs(
    lockstep: Callable[..., Ran], account: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rehearsal needs nothing of it; what it says comes next is AWS too."""
    at = RunningCloud(os.getpid(), 1, "http://127.0.0.1:1", "")
    monkeypatch.setattr("lockstep.context.running_cloud", lambda: at)
    monkeypatch.delenv("LOCKSTEP_TARGET")
    ran = lockstep("bootstrap", "dev", "--yes")
    assert ran.code == 0, ran.err
    assert f"In account 111111111111, us-east-1, of AWS (at {os.environ['AWS_ENDPOINT_URL']}):" in ran.out
    assert 'Next: eval "$(lockstep env dev)"' in ran.out
    assert lockstep("bootstrap", "dev").out.endswith("Nothing to do.\n")


def test_in_the_rehearsal_it_says_so_and_leads_back_to_it(
    lockstep: Callable[..., Ran], account: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.setattr("lockstep.context.running_cloud", lambda: RunningCloud(os.getpid(), int(url.rsplit(":", 1)[1]), url, ""))
    monkeypatch.setenv("LOCKSTEP_TARGET", "local")
    ran = lockstep("bootstrap", "dev", "--yes")
    assert ran.code == 0, ran.err
    assert "of the embedded cloud:" in ran.out
    assert 'Next: eval "$(lockstep cloud env dev)"' in ran.out


def test_what_was_weakened_is_put_right_and_the_data_key_stays(lockstep: Callable[..., Ran], account: boto3.Session, names: Names) -> None:
    assert lockstep("bootstrap", "dev", "--yes", "--json").code == 0
    before = state.read_secrets_file(account, names)
    s3, bucket = account.client("s3"), state.state_bucket(names)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket_lifecycle(Bucket=bucket)
    changed = lockstep("bootstrap", "dev", "--yes", "--json")
    assert [item["name"] for item in changed.json["items"] if item["action"] == "change"] == [bucket]
    assert actions(lockstep("bootstrap", "dev", "--yes", "--json")) == {"keep"}
    assert state.read_secrets_file(account, names) == before


def test_the_ci_role_is_of_one_environment_and_moves_no_traffic(lockstep: Callable[..., Ran], account: boto3.Session, names: Names) -> None:
    assert lockstep("bootstrap", "dev", "--repository", "acme/models", "--yes", "--json").code == 0
    role = account.client("iam").get_role(RoleName=identity.ci_role(names))["Role"]
    statement = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:acme/models:environment:dev",
    }
    rights = account.client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName=identity.POLICY_NAME)["PolicyDocument"][
        "Statement"
    ]
    denied = {action for each in rights if each["Effect"] == "Deny" for action in each["Action"]}
    assert {"sagemaker:UpdateEndpoint", "iam:DeleteRolePermissionsBoundary", "s3:BypassGovernanceRetention"} <= denied
    granted = [each for each in rights if each["Effect"] == "Allow"]
    assert all("111111111111" in each["Resource"] and "lockstep-dev-" in each["Resource"] for each in granted)
    making = next(each for each in granted if "iam:CreateRole" in each["Action"])
    assert making["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": names.boundary_arn}}

    other = lockstep("bootstrap", "dev", "--repository", "acme/others", "--yes", "--json")
    assert [item["action"] for item in other.json["items"]][-1] == "change"


def test_the_job_in_the_docs_is_one_that_may_take_the_role_on(names: Names) -> None:
    page = (ROOT / "docs" / "aws.md").read_text().partition("\n## CI\n")[2]
    block = re.search(r"^    jobs:\n(?:(?:     .*)?\n)+", page, re.MULTILINE)
    assert block
    (job,) = yaml.safe_load(block[0])["jobs"].values()
    trusted = identity.trust(names, "acme/models")["Statement"][0]["Condition"]["StringEquals"]
    assert f"repo:acme/models:environment:{job['environment']}" in trusted.values()
    assert job["permissions"]["id-token"] == "write"
    (signing_in,) = [step["with"] for step in job["steps"] if "aws-actions" in step.get("uses", "")]
    assert signing_in["role-to-assume"] == names.arn("iam", f"role/{identity.ci_role(names)}", region="")
    for page_of in ("README.md", "docs/aws.md"):
        assert ".venv/bin/lockstep bootstrap dev --repository OWNER/NAME" in (ROOT / page_of).read_text()


ROLE = "arn:aws:iam::111111111111:role/lockstep-dev-"
ENDPOINT = "arn:aws:sagemaker:us-east-1:111111111111:endpoint/lockstep-dev-mortgage"
STATE = "arn:aws:s3:::lockstep-dev-state-111111111111"
STATE_ALIAS = "arn:aws:kms:us-east-1:111111111111:alias/lockstep-dev-state"
LEDGER = "arn:aws:s3:::lockstep-dev-ledger-111111111111"
JOURNAL = "arn:aws:dynamodb:us-east-1:111111111111:table/lockstep-dev-promotions"


@pytest.mark.parametrize(
    ("action", "resource", "service", "decision"),
    [
        ("iam:PassRole", f"{ROLE}jobs", "sagemaker.amazonaws.com", "allowed"),
        ("iam:PassRole", f"{ROLE}jobs", "ec2.amazonaws.com", "implicitDeny"),
        ("iam:PassRole", f"{ROLE}promotion", "sagemaker.amazonaws.com", "explicitDeny"),
        *[
            (action, f"{ROLE}{role}", "", "explicitDeny")
            for action in ("iam:DeleteRole", "iam:UpdateAssumeRolePolicy")
            for role in (*get_args(Duty), "ci", "any-other")
        ],
        ("iam:UpdateRole", f"{ROLE}pipelines", "", "allowed"),
        ("iam:CreatePolicy", "arn:aws:iam::111111111111:policy/lockstep-dev-boundary", "", "allowed"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::111111111111:policy/lockstep-dev-boundary", "", "explicitDeny"),
        ("iam:PutRolePolicy", f"{ROLE}ci", "", "explicitDeny"),
        ("iam:PassRole", "arn:aws:iam::111111111111:role/lockstep-prod-jobs", "sagemaker.amazonaws.com", "implicitDeny"),
        ("sagemaker:CreateEndpoint", ENDPOINT, "", "allowed"),
        ("sagemaker:DeleteEndpoint", ENDPOINT, "", "explicitDeny"),
        ("sagemaker:UpdateEndpoint", ENDPOINT, "", "explicitDeny"),
        ("s3:PutObject", f"{LEDGER}/releases/1", "", "explicitDeny"),
        ("s3:ReplicateObject", f"{LEDGER}/releases/1", "", "explicitDeny"),
        ("s3:DeleteBucketPolicy", LEDGER, "", "explicitDeny"),
        ("s3:PutBucketPolicy", LEDGER, "", "allowed"),
        ("dynamodb:CreateTable", JOURNAL, "", "allowed"),
        *[
            (f"s3:{action}", STATE, "", "explicitDeny")
            for action in (
                "DeleteBucketPolicy",
                "PutBucketPublicAccessBlock",
                "PutBucketVersioning",
                "PutEncryptionConfiguration",
                "PutLifecycleConfiguration",
            )
        ],
        ("s3:PutObject", f"{STATE}/.pulumi/stacks/lockstep/dev.json", "", "allowed"),
        ("kms:DeleteAlias", STATE_ALIAS, "", "explicitDeny"),
        ("kms:UpdateAlias", STATE_ALIAS, "", "explicitDeny"),
        ("kms:UpdateAlias", STATE_ALIAS.replace("state", "data"), "", "allowed"),
        *[(f"dynamodb:{name}", JOURNAL, "", "explicitDeny") for name in ("PutItem", "UpdateItem", "PartiQLInsert", "DeleteTable")],
    ],
)
def test_ci_can_not_come_by_what_is_not_its_own(
    account: boto3.Session, names: Names, action: str, resource: str, service: str, decision: str
) -> None:
    context = {"iam:PassedToService": service} if service else {}
    assert decided(account, names, action, resource, context) == decision


def test_ci_makes_roles_of_the_environment_under_the_boundary_alone(account: boto3.Session, names: Names) -> None:
    for role in (*get_args(Duty), "any-other"):
        bounded = {"iam:PermissionsBoundary": names.boundary_arn}
        assert decided(account, names, "iam:CreateRole", f"{ROLE}{role}", bounded) == "allowed"
        assert decided(account, names, "iam:CreateRole", f"{ROLE}{role}", {}) == "implicitDeny"


def decided(account: boto3.Session, names: Names, action: str, resource: str, keys: dict[str, str]) -> str:
    """What IAM says of a call under CI's two policies."""
    power_user = {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"}
    answer = account.client("iam").simulate_custom_policy(
        PolicyInputList=[json.dumps(identity.rights(names)), json.dumps({"Version": "2012-10-17", "Statement": [power_user]})],
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=[{"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"} for key, value in keys.items()],
    )
    return str(answer["EvaluationResults"][0]["EvalDecision"])


def test_another_account_is_refused_before_anything_is_made(lockstep: Callable[..., Ran], account: boto3.Session) -> None:
    ran = lockstep("bootstrap", "staging", "--repository", "acme/models")
    assert ran.code == 1
    assert "no credentials for account 222222222222" in ran.err
    assert "of account 111111111111" in ran.err
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_a_key_that_is_being_deleted_stops_it(lockstep: Callable[..., Ran], account: boto3.Session, names: Names) -> None:
    assert lockstep("bootstrap", "dev", "--yes", "--json").code == 0
    kms = account.client("kms")
    kms.schedule_key_deletion(KeyId=kms.describe_key(KeyId=state.state_alias(names))["KeyMetadata"]["KeyId"])
    ran = lockstep("bootstrap", "dev", "--yes", "--json")
    assert (ran.code, ran.json["error"]["kind"]) == (1, "PreflightError")
    assert "PendingDeletion" in ran.json["error"]["message"]


def test_env_before_bootstrap_says_what_to_do(lockstep: Callable[..., Ran], account: boto3.Session) -> None:
    ran = lockstep("env", "dev")
    assert (ran.code, ran.out) == (1, "")
    assert "lockstep bootstrap dev" in ran.err


def test_plain_pulumi_works_on_the_bootstrapped_state_and_touches_no_tracked_file(
    lockstep: Callable[..., Ran], account: boto3.Session, project: Path, names: Names
) -> None:
    from local.engine import locate

    if locate.find() is None:
        pytest.skip("no Pulumi engine on this machine; `make setup` gets one")
    assert lockstep("bootstrap", "dev", "--yes", "--json").code == 0
    (project / "__main__.py").write_text("import pulumi\npulumi.export('hidden', pulumi.Output.secret('s3cret'))\n")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    script = lockstep("env", "dev")
    assert script.code == 0, script.err
    commands = "pulumi up --stack dev --yes --skip-preview --non-interactive >&2; pulumi stack output --show-secrets --json --stack dev"
    done = subprocess.run(["sh", "-c", f"set -eu; {script.out}\n{commands}"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"hidden": "s3cret"}
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    stored: Any = account.client("s3").get_object(Bucket=state.state_bucket(names), Key=".pulumi/stacks/lockstep/dev.json")["Body"].read()
    assert b"s3cret" not in stored
    assert json.loads(stored)["checkpoint"]["latest"]["secrets_providers"]["state"]["url"] == state.secrets_provider(names)


def test_env_forgets_the_rehearsal(lockstep: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shell of `lockstep cloud env`, `lockstep env` must not end up in the embedded cloud."""
    monkeypatch.setenv("LOCKSTEP_TARGET", "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "rehearsal")
    seen: dict[str, str] = {}

    def look(environment: str, config: Any) -> boto3.Session:
        seen.update(os.environ)
        raise KeyboardInterrupt

    monkeypatch.setattr("lockstep.aws.aws_session", look)
    assert run(["env", "dev"]) == 130
    assert not {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"} & set(seen)
