"""Rules that need more than one field, or more than one environment. Each yields a key path and a sentence.

`check` runs before any resource is planned; it makes no network call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from pydantic import BaseModel

from infra.config.load import Stack, problems
from infra.config.marks import Same
from infra.config.model import AlarmThresholds, EnvironmentConfig, Rollout
from infra.errors import ConfigError

Fault = tuple[str, str]
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


def check(stack: Stack, others: Mapping[str, Stack]) -> None:
    """Checks one environment by itself and against the others.

    Args:
        stack: the environment that is about to be planned.
        others: all environments of the folder by name; an entry of the same name is replaced by `stack`.

    Raises:
        ConfigError: all faults of this stack file at once, or a Same value that differs.
    """
    everyone = {**others, stack.name: stack}
    rules: tuple[Callable[[], Iterator[Fault]], ...] = (
        lambda: _account(stack.config),
        lambda: _network(stack.config),
        lambda: _serving(stack.config),
        lambda: _rollout(stack.config.rollout, stack.config.serving.instance_count),
        lambda: _alarms(stack.config),
        lambda: _features(stack.config),
        lambda: _neighbours(stack, everyone),
        lambda: _isolation(stack, everyone),
    )
    found = [fault for rule in rules for fault in rule()]
    if found:
        raise problems(stack.label, found)
    check_same(everyone, seen_from=stack.name)


def check_same(stacks: Mapping[str, Stack], *, seen_from: str | None = None) -> None:
    """Checks that fields marked Same are equal in all stack files.

    Args:
        stacks: environments by name.
        seen_from: compare all others with this one; otherwise with the first by name.

    Raises:
        ConfigError: naming the files, the key path and both values.
    """
    if not stacks:
        return
    reference = stacks[seen_from or min(stacks)]
    expected = dict(same_values(reference.config))
    for name in sorted(stacks):
        actual = dict(same_values(stacks[name].config))
        differing = [path for path in expected if actual.get(path) != expected[path]]
        if differing:
            path = differing[0]
            raise ConfigError(
                f"found {actual.get(path)!r}, but {reference.label} has {expected[path]!r}, and this must be the same in every environment",
                where=f"{stacks[name].label}, lockstep:environment.{path}",
                remedy="Make both files say the same." + (f" Also different: {', '.join(differing[1:])}." if differing[1:] else ""),
            )


def same_values(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key paths and values (or numbers of entries) of what must be the same everywhere."""
    for name, field in type(model).model_fields.items():
        path = f"{prefix}{field.alias or name}"
        value = getattr(model, name)
        mark = next((each for each in field.metadata if isinstance(each, Same)), None)
        if mark is not None:
            yield (f"{path} (number of entries)", len(value)) if mark.count_only else (path, value)
        elif isinstance(value, BaseModel):
            yield from same_values(value, f"{path}.")


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
    registry = config.serving.bootstrap_image.split(".dkr.ecr.")[1].split(".")[0]
    if registry != config.region:
        yield "serving.bootstrapImage", f"found an image in {registry}, expected one in the environment's region, {config.region}"


def _rollout(rollout: Rollout, instances: int) -> Iterator[Fault]:
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


def _neighbours(stack: Stack, everyone: Mapping[str, Stack]) -> Iterator[Fault]:
    chain = stack.config.chain
    for key, name, back in (("from", chain.from_, "to"), ("to", chain.to, "from")):
        if name is None:
            continue
        if name == stack.name:
            yield f"chain.{key}", f"found {name!r}, expected another environment"
        elif name not in everyone:
            yield f"chain.{key}", f"found {name!r}, expected an environment that has a stack file: {', '.join(sorted(everyone))}"
        else:
            theirs = everyone[name].config.chain
            answer = theirs.to if back == "to" else theirs.from_
            if answer != stack.name:
                yield f"chain.{key}", f"found {name!r}, but chain.{back} of {everyone[name].label} is {answer!r}, expected {stack.name!r}"
            if (region := everyone[name].config.region) != stack.config.region:
                yield (
                    f"chain.{key}",
                    f"{name} is in {region}, expected {stack.config.region}: jobs reach AWS through endpoints of their own region alone, "
                    f"so a candidate can't be read from another",
                )


def _isolation(stack: Stack, everyone: Mapping[str, Stack]) -> Iterator[Fault]:
    mine = IPv4Network(stack.config.network.cidr)
    for name, other in sorted(everyone.items()):
        if name == stack.name:
            continue
        theirs = IPv4Network(other.config.network.cidr)
        if mine.overlaps(theirs):
            yield "network.cidr", f"{mine} overlaps {theirs} of {other.label}: each environment needs a range of its own"
        if stack.config.account_id == other.config.account_id:
            yield (
                "accountId",
                f"{stack.config.account_id} is also the account of {other.label}: each environment needs an account of its own",
            )
