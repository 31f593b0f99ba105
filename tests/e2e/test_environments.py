"""A fourth environment needs a stack file and nothing else; it lives, drifts and dies like the others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.e2e.rehearsal import REGION, Rehearsal

QA = "444444444444"


def test_a_fourth_environment_lives_drifts_and_dies_by_its_stack_file_alone(rehearsal: Rehearsal) -> None:
    rehearsal.edit(
        "qa",
        {
            ("accountId",): QA,
            ("network", "cidr"): "10.40.0.0/16",
            ("network", "subnets"): [{"zone": f"{REGION}a", "cidr": "10.40.0.0/20"}, {"zone": f"{REGION}b", "cidr": "10.40.16.0/20"}],
            ("chain", "from"): None,
            ("chain", "to"): None,
            ("contacts", "operations"): "ml-platform-qa@example.com",
        },
        source="dev",
    )
    files = _digests(rehearsal.folder / "stacks")

    rehearsal.up("qa")
    assert rehearsal.outputs("qa")["account_id"] == QA
    assert "unchanged" in rehearsal.pulumi("qa", "preview", "--expect-no-changes").ok().output
    rehearsal.pulumi("qa", "preview", "--refresh", "--expect-no-changes").ok()
    assert _digests(rehearsal.folder / "stacks") == files, "a deploy wrote into a stack file"

    # Somebody changes two things behind Pulumi's back: a refresh shows both, and brings both back.
    session, outputs = rehearsal.session("qa"), rehearsal.outputs("qa")
    s3, logs = session.client("s3"), session.client("logs")
    s3.put_bucket_versioning(Bucket=outputs["buckets"]["data"]["name"], VersioningConfiguration={"Status": "Suspended"})
    session.client("sns").delete_topic(TopicArn=outputs["notifications_topic_arn"])
    seen = rehearsal.pulumi("qa", "preview", "--refresh", "--expect-no-changes")
    assert seen.code != 0
    assert "BucketVersioning" in seen.output
    assert "sns:Topic" in seen.output
    rehearsal.up("qa", refresh=True)
    assert s3.get_bucket_versioning(Bucket=outputs["buckets"]["data"]["name"])["Status"] == "Enabled"
    rehearsal.pulumi("qa", "preview", "--refresh", "--expect-no-changes").ok()

    rehearsal.lockstep("teardown", "qa", "--yes").ok()
    assert _left(session) == {}
    assert logs.describe_log_groups()["logGroups"] == []


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _left(session: Any) -> dict[str, list[str]]:
    """What is left in an account, by kind. What every account has from the start does not count; a key that waits for deletion is gone."""

    def names(service: str, operation: str, answer: str, key: str | None = None, **arguments: Any) -> list[str]:
        found = getattr(session.client(service), operation)(**arguments)[answer]
        return [str(each[key] if key else each) for each in found]

    kms = session.client("kms")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    ec2 = session.client("ec2")
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]
    everything = {
        "buckets": names("s3", "list_buckets", "Buckets", "Name"),
        "keys": [key["KeyId"] for key in keys if key["KeyState"] != "PendingDeletion" and key["KeyManager"] == "CUSTOMER"],
        "aliases": [name for name in names("kms", "list_aliases", "Aliases", "AliasName") if not name.startswith("alias/aws/")],
        "vpcs": vpcs,
        "VPC endpoints": [each["VpcEndpointId"] for each in ec2.describe_vpc_endpoints()["VpcEndpoints"] if each["State"] != "deleted"],
        "flow logs": names("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
        "roles": [name for name in names("iam", "list_roles", "Roles", "RoleName") if name.startswith("lockstep")],
        "policies": names("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
        "tables": names("dynamodb", "list_tables", "TableNames"),
        "repositories": names("ecr", "describe_repositories", "repositories", "repositoryName"),
        "alarms": names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "topics": names("sns", "list_topics", "Topics", "TopicArn"),
        "rules": names("events", "list_rules", "Rules", "Name"),
        "models": names("sagemaker", "list_models", "Models", "ModelName"),
        "endpoint configs": names("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        "endpoints": names("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
        "pipelines": names("sagemaker", "list_pipelines", "PipelineSummaries", "PipelineName"),
        "package groups": names("sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName"),
        "feature groups": names("sagemaker", "list_feature_groups", "FeatureGroupSummaries", "FeatureGroupName"),
        "scaling": names(
            "application-autoscaling", "describe_scalable_targets", "ScalableTargets", "ResourceId", ServiceNamespace="sagemaker"
        ),
    }
    return {kind: found for kind, found in everything.items() if found}
