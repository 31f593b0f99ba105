"""Roles and their boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import pulumi
from pulumi_aws.iam.policy import Policy
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy

from infra import outputs
from infra.boundary import boundary_document
from infra.components.keys import Keys
from infra.documents import document
from infra.duties import KeyArns, permissions, trust
from infra.naming import Duty
from infra.site import Site

_WHAT: dict[Duty, str] = {
    "jobs": "Runs the jobs of the pipelines: reads data, writes artefacts, registers candidates",
    "serving": "Runs models behind the endpoint",
    "promotion": "Verifies candidates and releases them: the one role that may shift traffic",
    "pipelines": "Starts the jobs of the pipelines",
    "events": "Starts the release pipeline when a candidate is approved",
    "flow-logs": "Writes the network's flow logs",
}


@dataclass(frozen=True, kw_only=True)
class RolesArgs:
    site: Site
    keys: Keys


class Roles(pulumi.ComponentResource):
    """One role per duty, all under one permission boundary.

    Attributes:
        arns: ARN by duty, an output that waits for the role's policy: who gets it can use it.
        outputs: the same ARNs as the environment's outputs hold them.
    """

    def __init__(self, name: str, args: RolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Roles", name, None, opts)
        site, child = args.site, pulumi.ResourceOptions(parent=self)
        boundary = Policy(
            f"{name}-boundary",
            name=site.names.boundary,
            description="What no role of this environment may exceed",
            policy=boundary_document(site),
            opts=child,
        )
        self.arns: dict[Duty, pulumi.Output[str]] = {}
        for duty in get_args(Duty):
            role = Role(
                f"{name}-{duty}",
                name=site.names.role(duty),
                description=_WHAT[duty],
                assume_role_policy=trust(site, duty),
                permissions_boundary=boundary.arn,
                opts=child,
            )
            policy = RolePolicy(
                f"{name}-{duty}-duty", name="duty", role=role.name, policy=self._policy(site, duty, args.keys.resolved), opts=child
            )
            self.arns[duty] = pulumi.Output.all(role.arn, policy.id).apply(lambda values: str(values[0]))
        self.outputs = outputs.Roles(
            jobs=site.names.role_arn("jobs"),
            serving=site.names.role_arn("serving"),
            promotion=site.names.role_arn("promotion"),
            pipelines=site.names.role_arn("pipelines"),
            events=site.names.role_arn("events"),
        )
        self.register_outputs({str(duty): arn for duty, arn in self.arns.items()})

    @staticmethod
    def _policy(site: Site, duty: Duty, keys: pulumi.Output[KeyArns]) -> pulumi.Output[str]:
        return keys.apply(lambda arns: document(permissions(site, duty, arns)))
