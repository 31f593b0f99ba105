"""The config of one environment: the object `lockstep:environment` of `stacks/Pulumi.<environment>.yaml`.

Ranges that the API itself sets are from the SageMaker API's limits (UpdateEndpoint, DeploymentConfig); rules that
need more than one field are in `infra.config.rules`, those across environments in `infra.config.checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.config.fields import (
    AccountId,
    Cidr,
    ContentType,
    Days,
    Email,
    EnvironmentName,
    FeatureName,
    Finite,
    Fraction,
    Group,
    ImageByDigest,
    InstanceType,
    LogDays,
    Percent,
    Region,
    RoleArn,
    Slug,
    TagValue,
    WaitSeconds,
    Zone,
)
from infra.config.marks import SAME, SAME_COUNT, VARIES


class Subnet(Group):
    """One private subnet. Marked as a whole by `Network.subnets`."""

    zone: Annotated[Zone, VARIES]
    cidr: Annotated[Cidr, VARIES]


class Network(Group):
    """The environment's own address range. Ranges of environments must not overlap, so that they could be peered."""

    cidr: Annotated[Cidr, VARIES]
    subnets: Annotated[tuple[Subnet, ...], SAME_COUNT, Field(min_length=2, max_length=6)]


class Chain(Group):
    """The neighbours in the promotion chain. `from` sends candidates here; `to` may read ours. null: none."""

    from_: Annotated[EnvironmentName | None, VARIES, Field(alias="from")]
    to: Annotated[EnvironmentName | None, VARIES]


class Autoscaling(Group):
    """Instances of the endpoint follow its load: `targetInvocationsPerInstance` a minute."""

    minimum: Annotated[int, VARIES, Field(ge=2, le=100)]
    maximum: Annotated[int, VARIES, Field(ge=2, le=100)]
    target_invocations_per_instance: Annotated[int, VARIES, Field(ge=1)]
    scale_in_cooldown_seconds: Annotated[WaitSeconds, VARIES]
    scale_out_cooldown_seconds: Annotated[WaitSeconds, VARIES]


class DataCapture(Group):
    """What is kept of requests and responses. Content types decide which payloads are stored as text."""

    enabled: Annotated[bool, VARIES]
    sampling_percentage: Annotated[Percent, VARIES]
    csv_content_types: Annotated[tuple[ContentType, ...], SAME, Field(min_length=1, max_length=10)]
    json_content_types: Annotated[tuple[ContentType, ...], SAME, Field(min_length=1, max_length=10)]


class Serving(Group):
    """The shape of the endpoint. An edit reaches the live fleet by `lockstep redeploy`, never by `pulumi up`."""

    instance_type: Annotated[InstanceType, VARIES]
    instance_count: Annotated[int, VARIES, Field(ge=2, le=100, description="At least two, so that one may fail.")]
    startup_timeout_seconds: Annotated[int, VARIES, Field(ge=60, le=3600)]
    bootstrap_image: Annotated[ImageByDigest, VARIES]
    autoscaling: Autoscaling
    data_capture: DataCapture


class Step(Group):
    """How much traffic moves at a time."""

    type: Annotated[Literal["INSTANCE_COUNT", "CAPACITY_PERCENT"], VARIES]
    value: Annotated[int, VARIES, Field(ge=1)]


class Rollout(Group):
    """How a release takes over from the one before. Times in seconds.

    `minimumGreenInvocations`: fewer requests answered by the new fleet before all traffic moves are no evidence.
    `probeRequestsPerMinute`: golden requests that the release itself sends through the endpoint while it bakes.
    """

    strategy: Annotated[Literal["ALL_AT_ONCE", "CANARY", "LINEAR"], VARIES]
    step: Annotated[Step | None, VARIES]
    wait_interval_seconds: Annotated[WaitSeconds, VARIES]
    termination_wait_seconds: Annotated[WaitSeconds, VARIES]
    maximum_execution_timeout_seconds: Annotated[int, VARIES, Field(ge=600, le=28800)]
    minimum_green_invocations: Annotated[int, VARIES, Field(ge=1)]
    probe_requests_per_minute: Annotated[int, VARIES, Field(ge=0, le=6000)]


class AlarmThresholds(Group):
    """`errorRate`: share of requests that end in 5XX, above 0 and below 1. Latency: p99 of the model's answer, milliseconds, at most
    the minute after which SageMaker gives a request up.
    """

    error_rate: Annotated[Fraction, VARIES]
    latency_p99_milliseconds: Annotated[float, VARIES, Field(gt=0, le=60_000)]
    period_seconds: Annotated[int, VARIES, Field(ge=60, le=3600, multiple_of=60)]
    evaluation_periods: Annotated[int, VARIES, Field(ge=1, le=60)]
    datapoints_to_alarm: Annotated[int, VARIES, Field(ge=1, le=60)]


class Alarms(Group):
    """`endpoint`: alarms that live as long as the environment. `release`: those that each release makes for its own fleet."""

    endpoint: AlarmThresholds
    release: AlarmThresholds


class Promotion(Group):
    """Who lets a candidate go live, and how long its evidence is kept.

    `requiresReleasedEvidence`: refuse a package that was not released in the environment before.
    `allowHostBase`: admit images whose base is the machine that runs them, which a rehearsal alone can run. false on AWS.
    `ledgerMode`: GOVERNANCE lets a principal with the right to bypass it delete evidence early; COMPLIANCE lets nobody,
    so an environment that is disposable can't have it.
    """

    approval: Annotated[Literal["automatic", "manual"], VARIES]
    requires_released_evidence: Annotated[bool, VARIES]
    allow_host_base: Annotated[bool, SAME]
    lease_seconds: Annotated[int, VARIES, Field(ge=30, le=3600)]
    ledger_retention_days: Annotated[Days, VARIES]
    ledger_mode: Annotated[Literal["GOVERNANCE", "COMPLIANCE"], VARIES]


class Gates(Group):
    """Thresholds of this environment that replace those of the workload's gate file: gate name -> threshold."""

    thresholds: Annotated[dict[str, Finite], VARIES]


class Jobs(Group):
    """Machines of the pipelines' jobs."""

    processing_instance_type: Annotated[InstanceType, VARIES]
    training_instance_type: Annotated[InstanceType, VARIES]


class Features(Group):
    """The feature group: what identifies a record, what dates it, and the type of each feature."""

    group: Annotated[Slug, SAME]
    record_identifier: Annotated[str, SAME]
    event_time: Annotated[str, SAME]
    definitions: Annotated[dict[FeatureName, Literal["String", "Integral", "Fractional"]], SAME, Field(min_length=2, max_length=2500)]


class Retention(Group):
    """How long things are kept, in days. `keyDeletion`: the wait between the deletion of a key and its end."""

    logs: Annotated[LogDays, VARIES]
    capture: Annotated[Days, VARIES]
    superseded_objects: Annotated[Days, VARIES]
    untagged_images: Annotated[Days, VARIES]
    key_deletion: Annotated[int, VARIES, Field(ge=7, le=30)]


class Contacts(Group):
    """Where alarms go: one address, a team's list rather than a person's."""

    operations: Annotated[Email, VARIES]


class EnvironmentConfig(Group):
    """One environment.

    `disposable`: true lets `lockstep teardown` empty its buckets and repositories; false makes it refuse.
    `assumeRoleArn`: a role that deploys in the account, where the shell's own identity does not.
    """

    owner: Annotated[TagValue, SAME]
    cost_center: Annotated[TagValue, VARIES]
    account_id: Annotated[AccountId, VARIES]
    region: Annotated[Region, VARIES]
    assume_role_arn: Annotated[RoleArn | None, VARIES]
    disposable: Annotated[bool, VARIES]
    workload: Annotated[Slug, SAME]
    chain: Chain
    network: Network
    serving: Serving
    rollout: Rollout
    alarms: Alarms
    promotion: Promotion
    gates: Gates
    jobs: Jobs
    features: Features
    retention: Retention
    contacts: Contacts
