"""What a promotion is about, and all that it will ask for: settled once, journalled, and the same in every run after that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from infra.errors import UsageError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import render
from pipelines.promotion.candidate import Candidate
from pipelines.promotion.decisions import EndpointView, Progress
from pipelines.promotion.names import ReleaseNames, release_names

Operation = Literal["release", "redeploy", "restore", "rollback"]

BACK = frozenset({"restore", "rollback"})
"""Operations that bring back what served before, and are needed most while the endpoint's own alarms ring."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody asked for. The package is given for a release; the other operations find theirs in the ledger."""

    operation: Operation
    model_package_arn: str = ""
    requested_by: str = ""

    @classmethod
    def parse(cls, operation: str, model_package_arn: str, requested_by: str) -> Order:
        if operation not in get_args(Operation):
            raise UsageError(
                f"there is no operation {operation!r}", where="--operation", remedy=f"One of {', '.join(get_args(Operation))}."
            )
        if (operation == "release") != bool(model_package_arn):
            raise UsageError(
                f"operation {operation} {'needs a' if operation == 'release' else 'takes no'} model package",
                where="--model-package-arn",
                remedy="A release names its package; the other operations take the ledger's.",
            )
        return cls(operation=operation, model_package_arn=model_package_arn, requested_by=requested_by)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Job:
    """An order with the promotion's id and package settled; `head` is the number of the ledger's newest release that it was settled from,
    if it was."""

    promotion: str
    operation: Operation
    model_package_arn: str
    requested_by: str
    head: int | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All requests of one release, as they will be sent. `former` is the endpoint config that was live when it was made; `rollback_alarms`
    guard the deployment."""

    target: str
    former: str
    model: dict[str, Any]
    endpoint_config: dict[str, Any]
    alarms: list[dict[str, Any]]
    deployment: dict[str, Any]
    retain: bool
    rollback_alarms: list[str]
    spec_digest: str
    began: float

    def progress(self, facts: dict[str, Any]) -> Progress:
        return Progress(
            target=self.target,
            former=self.former,
            marker=str(self.alarms[0]["AlarmName"]),
            submitted=bool(facts.get("submitted")),
            seen_pending=bool(facts.get("seen_pending")),
            reverting=bool(facts.get("reverting")),
            revert_asked=bool(facts.get("revert_asked")),
            seen_at=float(facts.get("seen_at") or 0.0),
        )

    def stored(self) -> dict[str, Any]:
        return asdict(self)


def make(
    outputs: EnvironmentOutputs, job: Job, candidate: Candidate, view: EndpointView, *, ringing: Collection[str], take: int, now: float
) -> Plan:
    """Render everything.

    A release keeps the number of instances that autoscaling has arrived at: it is rendered into the config and retained by the service, in
    case it changes in between. A redeploy applies the spec's number.

    Args:
        ringing: the endpoint's alarms that are in ALARM already: listed, they would undo the deployment for what it came to mend.
    """
    names = names_of(outputs, job.promotion, take)
    redeploy = job.operation == "redeploy"
    count = outputs.serving.instance_count if redeploy else (view.desired_count or outputs.serving.instance_count)
    rollback_alarms = [*names.alarms, *(name for name in outputs.endpoint.alarm_names if name not in ringing)]
    return Plan(
        target=names.endpoint_config,
        former=view.config,
        model=render.model(outputs.serving, names, image=candidate.image, model_data_url=candidate.model_data_url),
        endpoint_config=render.endpoint_config(outputs.serving, names, instance_count=count),
        alarms=render.alarms(outputs.release_alarms, names, endpoint=outputs.endpoint.name, variant=outputs.serving.variant_name),
        deployment=render.deployment_config(outputs.rollout, tuple(rollback_alarms)),
        retain=not redeploy,
        rollback_alarms=rollback_alarms,
        spec_digest=render.spec_digest(outputs.serving),
        began=now,
    )


def names_of(outputs: EnvironmentOutputs, promotion: str, take: int) -> ReleaseNames:
    """Names of what a promotion makes.

    Args:
        take: how often it was stopped and what it had made was deleted. The next take has other names, so that a delete that was under way
            when its run was taken over can't hit what the next take makes live.
    """
    return release_names(outputs.promotion.release_prefix, f"{promotion} {take}" if take else promotion)
