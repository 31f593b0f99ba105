"""The SageMaker pipelines, and the rule that starts a release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

import pulumi
from pulumi_aws.cloudwatch.event_rule import EventRule
from pulumi_aws.cloudwatch.event_target import EventTarget
from pulumi_aws.sagemaker.pipeline import Pipeline

from infra.definitions import Compiled
from infra.naming import PipelineKind
from infra.site import Site

_WHAT: dict[PipelineKind, str] = {
    "training": "Trains, evaluates and registers a candidate",
    "admit": "Verifies a candidate of the environment before this one and registers it here",
    "release": "Rolls an approved model package out, or rolls it back",
}
_RETRIES = 3
_EVENT_AGE_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class PipelinesArgs:
    """`values` fill the tokens of the compiled definitions (see `infra.definitions`).

    `role_arn` runs the pipelines; `events_role_arn` starts the release; `group_name` is the model package group.
    """

    site: Site
    compiled: Compiled
    values: pulumi.Output[dict[str, Any]]
    role_arn: pulumi.Input[str]
    events_role_arn: pulumi.Input[str]
    group_name: pulumi.Input[str]


class Pipelines(pulumi.ComponentResource):
    """Training, admit and release, from definitions that were compiled ahead of time; approval starts the release."""

    def __init__(self, name: str, args: PipelinesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Pipelines", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        made = {kind: self._pipeline(kind) for kind in get_args(PipelineKind)}
        self._release_on_approval(made["release"])
        self.register_outputs({})

    def _pipeline(self, kind: PipelineKind) -> Pipeline:
        physical, compiled = self._args.site.names.pipeline(kind), self._args.compiled
        return Pipeline(
            f"{self._name}-{kind}",
            pipeline_name=physical,
            pipeline_display_name=physical,
            pipeline_description=_WHAT[kind],
            pipeline_definition=self._args.values.apply(lambda values: compiled.filled(kind, values)),
            role_arn=self._args.role_arn,
            opts=self._child,
        )

    def _release_on_approval(self, release: Pipeline) -> None:
        names = self._args.site.names
        rule = EventRule(
            f"{self._name}-approved",
            name=names.approval_rule,
            description="A model package was approved",
            event_pattern=pulumi.Output.from_input(self._args.group_name).apply(approval_pattern),
            opts=self._child,
        )
        EventTarget(
            f"{self._name}-release-on-approval",
            rule=rule.name,
            target_id="release",
            arn=release.arn,
            role_arn=self._args.events_role_arn,
            sagemaker_pipeline_target={"pipeline_parameter_lists": [{"name": "ModelPackageArn", "value": "$.detail.ModelPackageArn"}]},
            retry_policy={"maximum_retry_attempts": _RETRIES, "maximum_event_age_in_seconds": _EVENT_AGE_SECONDS},
            opts=self._child,
        )


def approval_pattern(group_name: str) -> str:
    """The events that say that a package of the group was approved."""
    return json.dumps(
        {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": [group_name], "ModelApprovalStatus": ["Approved"]},
        },
        separators=(",", ":"),
    )
