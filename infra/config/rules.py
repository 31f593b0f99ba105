"""Rules over the values of one stack file that need more than one of them. Each yields a key path and a sentence.

`parse` applies them as it reads the file, so every command hears of them, and not the planning ones alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network

from infra.config.model import AlarmThresholds, EnvironmentConfig
from infra.config.regions import partitions

Fault = tuple[str, str]
# The families t2, t3, t4g: their CPU credits make load no measure of need.
_BURSTABLE = re.compile(r"ml\.t[0-9]")
_PARTITIONS = ("aws", "aws-us-gov")
_NARROWEST_VPC = 28
# Each of the eight interface endpoints has an address in every subnet, and AWS keeps five: a /28 has three left for jobs and fleets, a /27
# nineteen, and two fleets of a rollout with the jobs beside them need more.
_NARROWEST_SUBNET = 26
# RFC 1918. What `ipaddress` calls private is more: loopback, link-local, documentation.
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
# SageMaker's machines use it for themselves; the VPC user guide advises against it.
_TAKEN = IPv4Network("172.17.0.0/16")
_DAY_SECONDS, _WEEK_SECONDS, _HOUR_SECONDS = 86_400, 604_800, 3600
_METRIC_DELAY_SECONDS = 60  # a minute's datapoint is complete when the minute is over


def faults(config: EnvironmentConfig) -> list[Fault]:
    """All that is wrong with an environment by itself: key paths below `lockstep:environment`, and sentences."""
    rules: tuple[Callable[[EnvironmentConfig], Iterator[Fault]], ...] = (
        _region,
        _account,
        _network,
        _serving,
        _rollout,
        _alarms,
        _ledger,
        _features,
    )
    return [fault for rule in rules for fault in rule(config)]


def _region(config: EnvironmentConfig) -> Iterator[Fault]:
    known = partitions()
    partition = known.get(config.region)
    if partition is None:
        near = get_close_matches(config.region, known, n=1)
        yield "region", f"found {config.region}, expected a region that AWS has" + (f"; did you mean {near[0]!r}?" if near else "")
    elif partition not in _PARTITIONS:
        yield (
            "region",
            f"found {config.region} of partition {partition}, expected one of {' or '.join(_PARTITIONS)}: "
            f"services, principals and endpoints have other names there",
        )
    elif config.assume_role_arn is not None and (other := config.assume_role_arn.split(":")[1]) != partition:
        yield "assumeRoleArn", f"found a role of partition {other}, expected one of {config.region}'s, {partition}"


def _account(config: EnvironmentConfig) -> Iterator[Fault]:
    if config.assume_role_arn is not None and (whose := config.assume_role_arn.split(":")[4]) != config.account_id:
        yield "assumeRoleArn", f"found a role of account {whose}, expected one of the environment's own, {config.account_id}"


def _network(config: EnvironmentConfig) -> Iterator[Fault]:
    whole = IPv4Network(config.network.cidr)
    if not 16 <= whole.prefixlen <= _NARROWEST_VPC:
        yield "network.cidr", f"found {whole}, expected a range between /16 and /28: a VPC takes no other"
    if not any(whole.subnet_of(private) for private in _PRIVATE):
        yield "network.cidr", f"found {whole}, expected a private range (10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16)"
    if whole.overlaps(_TAKEN):
        yield "network.cidr", f"found {whole}, expected a range outside {_TAKEN}, which SageMaker's machines use themselves"
    earlier: list[IPv4Network] = []
    for index, subnet in enumerate(config.network.subnets):
        part = IPv4Network(subnet.cidr)
        if not part.subnet_of(whole):
            yield f"network.subnets.{index}.cidr", f"found {part}, expected a range inside network.cidr {whole}"
        if not 16 <= part.prefixlen <= _NARROWEST_SUBNET:
            yield (
                f"network.subnets.{index}.cidr",
                f"found {part}, expected a range between /16 and /{_NARROWEST_SUBNET}: eight interface endpoints and the five addresses "
                f"that AWS keeps take thirteen of each subnet, and jobs and the fleets of a rollout need the rest",
            )
        for other in earlier:
            if part.overlaps(other):
                yield f"network.subnets.{index}.cidr", f"{part} overlaps {other}, another subnet"
        earlier.append(part)
        if subnet.zone[:-1] != config.region:
            yield f"network.subnets.{index}.zone", f"found {subnet.zone}, expected a zone of region {config.region}"
        if subnet.zone in (before.zone for before in config.network.subnets[:index]):
            yield (
                f"network.subnets.{index}.zone",
                f"found {subnet.zone}, the zone of another subnet, expected one of its own: an interface endpoint has one subnet a zone",
            )


def _serving(config: EnvironmentConfig) -> Iterator[Fault]:
    scaling, count = config.serving.autoscaling, config.serving.instance_count
    if scaling.maximum < scaling.minimum:
        yield "serving.autoscaling.maximum", f"found {scaling.maximum}, expected at least the minimum, {scaling.minimum}"
    elif not scaling.minimum <= count <= scaling.maximum:
        yield (
            "serving.instanceCount",
            f"found {count}, expected a number within serving.autoscaling, {scaling.minimum} to {scaling.maximum}",
        )
    if _BURSTABLE.match(kind := config.serving.instance_type):
        yield (
            "serving.instanceType",
            f"found {kind}, expected a type that is not burstable: Application Auto Scaling takes no endpoint variant of such instances",
        )
    registry = config.serving.bootstrap_image.split(".dkr.ecr.")[1].split(".")[0]
    if registry != config.region:
        yield "serving.bootstrapImage", f"found an image in {registry}, expected one in the environment's region, {config.region}"


def _rollout(config: EnvironmentConfig) -> Iterator[Fault]:
    rollout, instances = config.rollout, config.serving.instance_count
    step, bakes = rollout.step, 1
    if rollout.strategy == "ALL_AT_ONCE":
        if step is not None:
            yield "rollout.step", "found a step, expected null: ALL_AT_ONCE moves all traffic in one step"
            return
    elif step is None:
        yield "rollout.step", f"found null, expected a type and a value: {rollout.strategy} moves traffic in steps"
        return
    else:
        share = step.value if step.type == "CAPACITY_PERCENT" else 100 * step.value / instances
        shown = f"{step.value} %" if step.type == "CAPACITY_PERCENT" else f"{step.value} of {instances} instances"
        if rollout.strategy == "CANARY" and share > 50:
            yield "rollout.step.value", f"found {shown}, expected at most 50 % of the instances: SageMaker takes no larger canary"
        if rollout.strategy == "LINEAR" and not 10 <= share <= 50:
            yield "rollout.step.value", f"found {shown}, expected 10 to 50 % of the instances: SageMaker takes no other linear step"
        bakes = math.ceil(100 / share) - 1 if rollout.strategy == "LINEAR" else 1
        probes = rollout.probe_requests_per_minute * rollout.wait_interval_seconds / 60 * min(share, 100) / 100
        if probes < rollout.minimum_green_invocations:
            yield (
                "rollout.minimumGreenInvocations",
                f"found {rollout.minimum_green_invocations}, but the release's own probes bring the new fleet about {probes:.0f} requests "
                f"in the first bake: without live traffic no release could ever pass",
            )
    waits = bakes * rollout.wait_interval_seconds + rollout.termination_wait_seconds
    if rollout.maximum_execution_timeout_seconds <= waits:
        yield (
            "rollout.maximumExecutionTimeoutSeconds",
            f"found {rollout.maximum_execution_timeout_seconds}, expected more than the waits add up to, {waits} seconds",
        )


def _alarms(config: EnvironmentConfig) -> Iterator[Fault]:
    groups: tuple[tuple[str, AlarmThresholds], ...] = (("endpoint", config.alarms.endpoint), ("release", config.alarms.release))
    for name, alarm in groups:
        if alarm.datapoints_to_alarm > alarm.evaluation_periods:
            yield (
                f"alarms.{name}.datapointsToAlarm",
                f"found {alarm.datapoints_to_alarm}, expected at most evaluationPeriods, {alarm.evaluation_periods}: it could never fire",
            )
        most = _DAY_SECONDS if alarm.period_seconds < _HOUR_SECONDS else _WEEK_SECONDS
        if alarm.evaluation_periods * alarm.period_seconds > most:
            yield (
                f"alarms.{name}.evaluationPeriods",
                f"{alarm.evaluation_periods} periods of {alarm.period_seconds} s are {alarm.evaluation_periods * alarm.period_seconds} s, "
                f"expected at most {most}: CloudWatch looks no further back",
            )
    release, bake = config.alarms.release, config.rollout.wait_interval_seconds
    if config.rollout.strategy == "ALL_AT_ONCE":
        bake = config.rollout.termination_wait_seconds
    needed = release.datapoints_to_alarm * release.period_seconds + _METRIC_DELAY_SECONDS
    if needed > bake:
        yield (
            "alarms.release",
            f"{release.datapoints_to_alarm} datapoints of {release.period_seconds} s need {needed} s to raise the alarm, "
            f"but the first bake lasts {bake} s: it could never fire inside it",
        )


def _ledger(config: EnvironmentConfig) -> Iterator[Fault]:
    if config.disposable and config.promotion.ledger_mode == "COMPLIANCE":
        yield (
            "promotion.ledgerMode",
            "found COMPLIANCE where disposable is true, expected GOVERNANCE: nobody can delete evidence that is kept in compliance mode, "
            "so a teardown could not finish",
        )


def _features(config: EnvironmentConfig) -> Iterator[Fault]:
    features = config.features
    for key, name in (("recordIdentifier", features.record_identifier), ("eventTime", features.event_time)):
        if name not in features.definitions:
            yield f"features.{key}", f"found {name!r}, expected one of features.definitions"
    if features.definitions.get(features.event_time) == "Integral":
        yield f"features.definitions.{features.event_time}", "found Integral, expected String or Fractional: it dates the records"
    for reserved in ("is_deleted", "write_time", "api_invocation_time"):
        if reserved in features.definitions:
            yield f"features.definitions.{reserved}", "this name is reserved by the feature store"
