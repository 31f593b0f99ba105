"""Customer keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import pulumi
from pulumi_aws.kms.alias import Alias
from pulumi_aws.kms.key import Key

from infra import grants, outputs
from infra.duties import KeyArns
from infra.naming import KeyPurpose
from infra.site import Site

_WHAT = {
    "data": "data sets, features, captured requests and volumes",
    "artefacts": "models, evidence of runs and images",
    "ledger": "what was released, and why",
    "operations": "logs, notifications and the promotion journal",
}


@dataclass(frozen=True, kw_only=True)
class KeysArgs:
    site: Site


class Keys(pulumi.ComponentResource):
    """One customer key per purpose, rotated each year, each behind an alias.

    A key per purpose lets the next environment read artefacts and ledger without a glance at data or operations.

    Attributes:
        arns: ARN of each key by purpose.
        resolved: the ARNs together, for policies that name several.
    """

    def __init__(self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Keys", name, None, opts)
        site, child = args.site, pulumi.ResourceOptions(parent=self)
        self.arns: dict[KeyPurpose, pulumi.Output[str]] = {}
        for purpose in get_args(KeyPurpose):
            key = Key(
                f"{name}-{purpose}",
                description=f"{site.names.environment}: {_WHAT[purpose]}",
                enable_key_rotation=True,
                deletion_window_in_days=site.config.retention.key_deletion,
                policy=grants.key_policy(site, purpose),
                opts=child,
            )
            Alias(f"{name}-{purpose}-alias", name=site.names.key_alias(purpose), target_key_id=key.key_id, opts=child)
            self.arns[purpose] = key.arn
        self.resolved: pulumi.Output[KeyArns] = pulumi.Output.all(**self.arns).apply(lambda arns: KeyArns(**arns))
        self.outputs: pulumi.Output[outputs.Keys] = pulumi.Output.all(**self.arns).apply(lambda arns: outputs.Keys(**arns))
        self.register_outputs({str(purpose): arn for purpose, arn in self.arns.items()})
