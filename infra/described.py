"""How an environment's outputs are put together from its config, its names and what the cloud made of them."""

from __future__ import annotations

from collections.abc import Sequence

from infra import outputs
from infra.naming import PROJECT, Names
from infra.site import Site

OUTPUTS_KEY = "environment/outputs.json"


def outputs_uri(names: Names) -> str:
    """Where an environment's outputs lie as an object."""
    return f"s3://{names.bucket('artefacts')}/{OUTPUTS_KEY}"


def render(environment: outputs.EnvironmentOutputs) -> str:
    """The text of that object."""
    return environment.model_dump_json(indent=2) + "\n"


def environment_outputs(
    site: Site,
    *,
    keys: outputs.Keys,
    vpc_id: str,
    jobs_group: str,
    serving: outputs.ServingSpec,
    feature_group: str,
    topic_arn: str,
    journal: str,
    buckets: outputs.Buckets,
    repositories: outputs.Repositories,
    roles: outputs.Roles,
    alarm_names: Sequence[str],
) -> outputs.EnvironmentOutputs:
    """All that others need to know of a deployed environment.

    Args:
        site: its config and names.
        journal: name of the promotion journal's table.
        jobs_group: id of the jobs' security group.
        others: what the components of the same name made.
    """
    names, config = site.names, site.config
    return outputs.EnvironmentOutputs(
        project=PROJECT,
        environment=names.environment,
        account_id=names.account_id,
        region=names.region,
        workload=config.workload,
        outputs_uri=outputs_uri(names),
        network=outputs.Network(
            vpc_id=vpc_id,
            subnet_ids=serving.subnet_ids,
            jobs_security_group_id=jobs_group,
            serving_security_group_id=serving.security_group_ids[0],
        ),
        keys=keys,
        buckets=buckets,
        roles=roles,
        repositories=repositories,
        model_package_group_name=names.model_package_group,
        model_package_group_arn=names.model_package_group_arn,
        feature_group_name=feature_group,
        notifications_topic_arn=topic_arn,
        endpoint=outputs.Endpoint(
            name=names.endpoint,
            arn=names.endpoint_arn,
            bootstrap_config_name=names.bootstrap,
            bootstrap_model_name=names.bootstrap,
            alarm_names=tuple(alarm_names),
        ),
        serving=serving,
        rollout=_rollout(site),
        release_alarms=_release_alarms(site),
        pipelines=outputs.Pipelines(training=names.pipeline("training"), admit=names.pipeline("admit"), release=names.pipeline("release")),
        promotion=outputs.PromotionSpec(
            approval=config.promotion.approval,
            journal_table_name=journal,
            lease_seconds=config.promotion.lease_seconds,
            release_prefix=names.release_prefix,
            ledger_retention_days=config.promotion.ledger_retention_days,
            allow_host_base=config.promotion.allow_host_base,
            source=_source(site),
        ),
        gates=outputs.GateOverrides(thresholds=config.gates.thresholds),
    )


def _rollout(site: Site) -> outputs.RolloutSpec:
    rollout = site.config.rollout
    return outputs.RolloutSpec(
        strategy=rollout.strategy,
        step=outputs.CapacitySize(type=rollout.step.type, value=rollout.step.value) if rollout.step else None,
        wait_interval_seconds=rollout.wait_interval_seconds,
        termination_wait_seconds=rollout.termination_wait_seconds,
        maximum_execution_timeout_seconds=rollout.maximum_execution_timeout_seconds,
        minimum_green_invocations=rollout.minimum_green_invocations,
        probe_requests_per_minute=rollout.probe_requests_per_minute,
    )


def _release_alarms(site: Site) -> outputs.ReleaseAlarmSpec:
    alarms = site.config.alarms.release
    return outputs.ReleaseAlarmSpec(
        error_rate=alarms.error_rate,
        latency_p99_ms=alarms.latency_p99_milliseconds,
        period_seconds=alarms.period_seconds,
        evaluation_periods=alarms.evaluation_periods,
        datapoints_to_alarm=alarms.datapoints_to_alarm,
    )


def _source(site: Site) -> outputs.PromotionSource | None:
    source = site.source
    if source is None:
        return None
    return outputs.PromotionSource(
        environment=source.environment,
        account_id=source.account_id,
        region=source.region,
        model_package_group_name=source.model_package_group,
        model_package_group_arn=source.model_package_group_arn,
        workload_repository=outputs.Repository(
            name=source.repository("workload"), arn=source.repository_arn("workload"), uri=source.repository_uri("workload")
        ),
        artefacts_bucket=outputs.Bucket(name=source.bucket("artefacts"), arn=source.bucket_arn("artefacts")),
        ledger_bucket=outputs.Bucket(name=source.bucket("ledger"), arn=source.bucket_arn("ledger")),
        requires_released_evidence=site.config.promotion.requires_released_evidence,
    )
