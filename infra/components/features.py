"""The feature group."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws.sagemaker.feature_group import FeatureGroup

from infra.site import Site


@dataclass(frozen=True, kw_only=True)
class FeaturesArgs:
    """`data_bucket` holds the offline store, below `features/`."""

    site: Site
    role_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    data_bucket: pulumi.Output[str]


class Features(pulumi.ComponentResource):
    """One feature group, online and offline, both under the data key.

    The feature store makes no Glue table: tables are the environment's own, so that it can delete them.

    Attributes:
        group_name: the feature group's name.
    """

    def __init__(self, name: str, args: FeaturesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Features", name, None, opts)
        features = args.site.config.features
        group = FeatureGroup(
            f"{name}-group",
            feature_group_name=args.site.names.feature_group,
            description=f"Features of the workload {args.site.config.workload}: {features.group}",
            record_identifier_feature_name=features.record_identifier,
            event_time_feature_name=features.event_time,
            feature_definitions=[{"feature_name": feature, "feature_type": kind} for feature, kind in sorted(features.definitions.items())],
            role_arn=args.role_arn,
            online_store_config={"enable_online_store": True, "security_config": {"kms_key_id": args.key_arn}},
            offline_store_config={
                "s3_storage_config": {"s3_uri": pulumi.Output.concat("s3://", args.data_bucket, "/features"), "kms_key_id": args.key_arn},
                "disable_glue_table_creation": True,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group_name = group.feature_group_name
        self.register_outputs({"group_name": self.group_name})
