"""The one shape in which an environment describes itself to those who work in it.

The Pulumi program exports it as the stack output `environment` and writes the same JSON to
`s3://<artefacts>/environment/outputs.json`, where jobs read it. Field names are snake_case in JSON too.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bucket(_Model):
    name: str
    arn: str


class Buckets(_Model):
    data: Bucket
    artefacts: Bucket
    capture: Bucket
    ledger: Bucket
    logs: Bucket


class Keys(_Model):
    """ARNs of the customer managed keys, one per purpose."""

    data: str
    artefacts: str
    ledger: str
    operations: str


class Roles(_Model):
    """ARNs of the roles, one per duty."""

    jobs: str
    serving: str
    promotion: str
    pipelines: str
    events: str


class Repository(_Model):
    """`uri` has no tag and no digest: `<account>.dkr.ecr.<region>.amazonaws.com/<name>`."""

    name: str
    arn: str
    uri: str


class Repositories(_Model):
    workload: Repository
    toolkit: Repository


class Network(_Model):
    vpc_id: str
    subnet_ids: tuple[str, ...]
    jobs_security_group_id: str
    serving_security_group_id: str


class DataCaptureSpec(_Model):
    """`sampling_percentage` 0..100; content types decide which payloads are stored as text."""

    enabled: bool
    sampling_percentage: int
    destination_s3_uri: str
    kms_key_arn: str
    csv_content_types: tuple[str, ...]
    json_content_types: tuple[str, ...]


class ServingSpec(_Model):
    """What an endpoint config of this environment looks like apart from the model in it. Every release renders it."""

    variant_name: str
    instance_type: str
    instance_count: int
    startup_timeout_seconds: int
    execution_role_arn: str
    volume_kms_key_arn: str | None
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    enable_network_isolation: bool
    data_capture: DataCaptureSpec
    environment: dict[str, str]


class CapacitySize(_Model):
    type: Literal["INSTANCE_COUNT", "CAPACITY_PERCENT"]
    value: int


class RolloutSpec(_Model):
    """How traffic moves from blue to green. Times in seconds of the service's clock.

    `step` is the canary size or the linear step size; None for ALL_AT_ONCE.
    `minimum_green_invocations`: fewer than this many requests answered by green before all traffic shifts is no evidence.
    `probe_requests_per_minute`: golden requests that the release step itself sends while green bakes.
    """

    strategy: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"]
    step: CapacitySize | None
    wait_interval_seconds: int
    termination_wait_seconds: int
    maximum_execution_timeout_seconds: int
    minimum_green_invocations: int
    probe_requests_per_minute: int


class ReleaseAlarmSpec(_Model):
    """Thresholds of the alarms that a release makes for its own green fleet.

    `error_rate` is a fraction 0..1 of requests that end in 5XX; `latency_p99_ms` is ModelLatency in milliseconds.
    """

    error_rate: float
    latency_p99_ms: float
    period_seconds: int
    evaluation_periods: int
    datapoints_to_alarm: int


class Endpoint(_Model):
    name: str
    arn: str
    bootstrap_config_name: str
    bootstrap_model_name: str
    alarm_names: tuple[str, ...]


class Pipelines(_Model):
    """Names of the SageMaker pipelines."""

    training: str
    admit: str
    release: str


class PromotionSource(_Model):
    """The environment that this one admits candidates from. Names are computed, not read from its state."""

    environment: str
    account_id: str
    region: str
    model_package_group_name: str
    model_package_group_arn: str
    workload_repository: Repository
    artefacts_bucket: Bucket
    ledger_bucket: Bucket
    requires_released_evidence: bool


class PromotionSpec(_Model):
    """`release_prefix` starts the name of every resource that a release makes (model, endpoint config, alarms).

    `allow_host_base`: admit images whose base is the machine that runs them. Such an image runs in a rehearsal only.
    """

    approval: Literal["automatic", "manual"]
    journal_table_name: str
    lease_seconds: int
    release_prefix: str
    ledger_retention_days: int
    allow_host_base: bool = False
    source: PromotionSource | None


class GateOverrides(_Model):
    """Thresholds of this environment that replace those of the workload's gate file: gate name -> threshold."""

    thresholds: dict[str, float]


class EnvironmentOutputs(_Model):
    """All that pipelines, promotion and the command line need to know of a deployed environment."""

    project: str
    environment: str
    account_id: str
    region: str
    workload: str
    outputs_uri: str
    network: Network
    keys: Keys
    buckets: Buckets
    roles: Roles
    repositories: Repositories
    model_package_group_name: str
    model_package_group_arn: str
    feature_group_name: str
    notifications_topic_arn: str
    endpoint: Endpoint
    serving: ServingSpec
    rollout: RolloutSpec
    release_alarms: ReleaseAlarmSpec
    pipelines: Pipelines
    promotion: PromotionSpec
    gates: GateOverrides
