"""The journal that makes a promotion safe to kill."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws.dynamodb.table import Table

from infra.site import Site


@dataclass(frozen=True, kw_only=True)
class JournalArgs:
    site: Site
    key_arn: pulumi.Input[str]


class Journal(pulumi.ComponentResource):
    """A table where a promotion writes each step before it takes it, and where it holds its lease.

    Attributes:
        table_name: the table's name.
    """

    def __init__(self, name: str, args: JournalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Journal", name, None, opts)
        table = Table(
            f"{name}-promotions",
            name=args.site.names.journal,
            billing_mode="PAY_PER_REQUEST",
            hash_key="promotion_id",
            attributes=[{"name": "promotion_id", "type": "S"}],
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": args.key_arn},
            deletion_protection_enabled=not args.site.config.disposable,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.table_name = table.name
        self.register_outputs({"table_name": table.name})
