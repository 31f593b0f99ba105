"""An environment for tests of promotion: its outputs as Pulumi would export them."""

from __future__ import annotations

import json

from infra.outputs import EnvironmentOutputs

IMAGE_MANIFEST = json.dumps({"schemaVersion": 2, "annotations": {"dev.lockstep.base": "host"}, "layers": []})


def make_outputs(environment: str = "dev", account: str = "111111111111", source: EnvironmentOutputs | None = None) -> EnvironmentOutputs:
    """Short bakes (service seconds) and a short lease, so that a fast clock gets through them in no time."""
    region, name = "us-east-1", f"lockstep-{environment}"

    def bucket(purpose: str) -> dict[str, str]:
        return {"name": f"{name}-{purpose}-{account}", "arn": f"arn:aws:s3:::{name}-{purpose}-{account}"}

    def role(duty: str) -> str:
        return f"arn:aws:iam::{account}:role/{name}-{duty}"

    def repository(kind: str) -> dict[str, str]:
        return {
            "name": f"{name}-{kind}",
            "arn": f"arn:aws:ecr:{region}:{account}:repository/{name}-{kind}",
            "uri": f"{account}.dkr.ecr.{region}.amazonaws.com/{name}-{kind}",
        }

    key = f"arn:aws:kms:{region}:{account}:key/00000000-0000-0000-0000-000000000000"
    group = f"arn:aws:sagemaker:{region}:{account}:model-package-group/{name}"
    capture = bucket("capture")["name"]
    return EnvironmentOutputs.model_validate(
        {
            "project": "lockstep",
            "environment": environment,
            "account_id": account,
            "region": region,
            "workload": "tiny",
            "outputs_uri": f"s3://{bucket('artefacts')['name']}/environment/outputs.json",
            "network": {
                "vpc_id": "vpc-1",
                "subnet_ids": ["subnet-1", "subnet-2"],
                "jobs_security_group_id": "sg-1",
                "serving_security_group_id": "sg-2",
            },
            "keys": {"data": key, "artefacts": key, "ledger": key, "operations": key},
            "buckets": {purpose: bucket(purpose) for purpose in ("data", "artefacts", "capture", "ledger", "logs")},
            "roles": {duty: role(duty) for duty in ("jobs", "serving", "promotion", "pipelines", "events")},
            "repositories": {"workload": repository("workload"), "toolkit": repository("toolkit")},
            "model_package_group_name": name,
            "model_package_group_arn": group,
            "feature_group_name": f"{name}-features",
            "notifications_topic_arn": f"arn:aws:sns:{region}:{account}:{name}",
            "endpoint": {
                "name": name,
                "arn": f"arn:aws:sagemaker:{region}:{account}:endpoint/{name}",
                "bootstrap_config_name": f"{name}-bootstrap",
                "bootstrap_model_name": f"{name}-bootstrap",
                "alarm_names": [f"{name}-endpoint-5xx", f"{name}-endpoint-p99"],
            },
            "serving": {
                "variant_name": "main",
                "instance_type": "ml.m5.large",
                "instance_count": 2,
                "startup_timeout_seconds": 60,
                "execution_role_arn": role("serving"),
                "volume_kms_key_arn": key,
                "subnet_ids": ["subnet-1", "subnet-2"],
                "security_group_ids": ["sg-2"],
                "enable_network_isolation": True,
                "data_capture": {
                    "enabled": False,
                    "sampling_percentage": 100,
                    "destination_s3_uri": f"s3://{capture}/",
                    "kms_key_arn": key,
                    "csv_content_types": ["text/csv"],
                    "json_content_types": ["application/json"],
                },
                "environment": {},
            },
            "rollout": {
                "strategy": "CANARY",
                "step": {"type": "CAPACITY_PERCENT", "value": 50},
                "wait_interval_seconds": 240,
                "termination_wait_seconds": 60,
                "maximum_execution_timeout_seconds": 1200,
                "minimum_green_invocations": 5,
                "probe_requests_per_minute": 2,
            },
            "release_alarms": {
                "error_rate": 0.05,
                "latency_p99_ms": 2000,
                "period_seconds": 60,
                "evaluation_periods": 1,
                "datapoints_to_alarm": 1,
            },
            "pipelines": {kind: f"{name}-{kind}" for kind in ("training", "admit", "release")},
            "promotion": {
                "approval": "automatic",
                "journal_table_name": f"{name}-promotions",
                "lease_seconds": 300,
                "release_prefix": f"{name}-release",
                "ledger_retention_days": 1,
                "allow_host_base": True,
                "source": None
                if source is None
                else {
                    "environment": source.environment,
                    "account_id": source.account_id,
                    "region": source.region,
                    "model_package_group_name": source.model_package_group_name,
                    "model_package_group_arn": source.model_package_group_arn,
                    "workload_repository": source.repositories.workload.model_dump(),
                    "artefacts_bucket": source.buckets.artefacts.model_dump(),
                    "ledger_bucket": source.buckets.ledger.model_dump(),
                    "requires_released_evidence": True,
                },
            },
            "gates": {"thresholds": {}},
        }
    )
