"""One environment: its components in the order in which they depend on each other, and its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws._inputs import ProviderAssumeRoleArgs, ProviderDefaultTagsArgs
from pulumi_aws.provider import Provider
from pulumi_aws.s3.bucket_objectv2 import BucketObjectv2

from infra import described
from infra.components.buckets import Buckets, BucketsArgs
from infra.components.features import Features, FeaturesArgs
from infra.components.journal import Journal, JournalArgs
from infra.components.keys import Keys, KeysArgs
from infra.components.network import Network, NetworkArgs
from infra.components.observability import Alarms, AlarmsArgs, Logs, LogsArgs, Notifications, NotificationsArgs
from infra.components.pipelines import Pipelines, PipelinesArgs
from infra.components.registry import Registry, RegistryArgs
from infra.components.roles import Roles, RolesArgs
from infra.components.serving import Serving, ServingArgs
from infra.definitions import Compiled
from infra.naming import PROJECT
from infra.outputs import EnvironmentOutputs
from infra.serving_spec import serving_spec
from infra.site import Site


@dataclass(frozen=True, kw_only=True)
class EnvironmentArgs:
    site: Site
    compiled: Compiled


class Environment(pulumi.ComponentResource):
    """All that one environment is made of. Environments differ by values alone: every resource exists in each.

    Attributes:
        outputs: what the environment tells about itself; the same JSON is an object in the artefacts bucket.
    """

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Environment", name, None, opts)
        site, child = args.site, pulumi.ResourceOptions(parent=self)
        toolkit_image = f"{site.names.repository_uri('toolkit')}@{args.compiled.toolkit_digest}"

        keys = Keys("keys", KeysArgs(site=site), child)
        roles = Roles("roles", RolesArgs(site=site, keys=keys), child)
        network = Network(
            "network", NetworkArgs(site=site, flow_log_role_arn=roles.arns["flow-logs"], log_key_arn=keys.arns["operations"]), child
        )
        buckets = Buckets("buckets", BucketsArgs(site=site, keys=keys), child)
        journal = Journal("journal", JournalArgs(site=site, key_arn=keys.arns["operations"]), child)
        registry = Registry("registry", RegistryArgs(site=site, key_arn=keys.arns["artefacts"]), child)
        features = Features(
            "features",
            FeaturesArgs(site=site, role_arn=roles.arns["jobs"], key_arn=keys.arns["data"], data_bucket=buckets.named["data"]),
            child,
        )
        Logs("logs", LogsArgs(site=site, key_arn=keys.arns["operations"]), child)
        spec = pulumi.Output.all(key=keys.arns["data"], subnets=pulumi.Output.all(*network.subnet_ids), group=network.groups.serving).apply(
            lambda got: serving_spec(site, data_key_arn=got["key"], subnet_ids=got["subnets"], security_group_id=got["group"])
        )
        serving = Serving(
            "serving",
            ServingArgs(
                site=site, spec=spec, serving_role_arn=roles.arns["serving"], artefacts_bucket=buckets.named["artefacts"], network=network
            ),
            child,
        )
        notifications = Notifications("notifications", NotificationsArgs(site=site, key_arn=keys.arns["operations"]), child)
        alarms = Alarms("alarms", AlarmsArgs(site=site, endpoint_name=serving.endpoint_name, topic_arn=notifications.topic_arn), child)
        Pipelines(
            "pipelines",
            PipelinesArgs(
                site=site,
                compiled=args.compiled,
                values=_values(site, keys, network, roles, toolkit_image),
                role_arn=roles.arns["pipelines"],
                events_role_arn=roles.arns["events"],
                group_name=registry.group_name,
            ),
            child,
        )
        self.outputs: pulumi.Output[EnvironmentOutputs] = pulumi.Output.all(
            keys=keys.outputs,
            vpc_id=network.vpc_id,
            jobs_group=network.groups.jobs,
            serving=spec,
            feature_group=features.group_name,
            topic_arn=notifications.topic_arn,
            journal=journal.table_name,
        ).apply(
            lambda got: described.environment_outputs(
                site, buckets=buckets.outputs, repositories=registry.outputs, roles=roles.outputs, alarm_names=alarms.names, **got
            )
        )
        BucketObjectv2(
            "outputs",
            bucket=buckets.named["artefacts"],
            key=described.OUTPUTS_KEY,
            content=self.outputs.apply(described.render),
            content_type="application/json",
            opts=child,
        )
        self.register_outputs({})


def _values(site: Site, keys: Keys, network: Network, roles: Roles, toolkit_image: str) -> pulumi.Output[dict[str, Any]]:
    """What fills the tokens of the compiled pipeline definitions."""
    known = {
        "environment": site.names.environment,
        "workload": site.config.workload,
        "toolkit_image": toolkit_image,
        "outputs_uri": described.outputs_uri(site.names),
        "artefacts_uri": f"s3://{site.names.bucket('artefacts')}",
        "data_uri": f"s3://{site.names.bucket('data')}",
        "processing_instance_type": site.config.jobs.processing_instance_type,
        "training_instance_type": site.config.jobs.training_instance_type,
        "model_package_group": site.names.model_package_group,
    }
    return pulumi.Output.all(
        role_jobs=roles.arns["jobs"],
        role_promotion=roles.arns["promotion"],
        artefacts_kms_key=keys.arns["artefacts"],
        jobs_kms_key=keys.arns["data"],
        subnet_ids=pulumi.Output.all(*network.subnet_ids),
        jobs_security_group_ids=pulumi.Output.all(network.groups.jobs),
    ).apply(lambda resolved: {**known, **resolved})


def aws_provider(site: Site) -> Provider:
    """The one provider: this account and no other, this region, and tags on all that takes tags."""
    config = site.config
    return Provider(
        "aws",
        region=config.region,
        allowed_account_ids=[config.account_id],
        default_tags=ProviderDefaultTagsArgs(tags=site.tags),
        assume_roles=[ProviderAssumeRoleArgs(role_arn=config.assume_role_arn, session_name=f"{PROJECT}-{site.names.environment}")]
        if config.assume_role_arn
        else None,
    )


def deploy(site: Site, compiled: Compiled) -> Environment:
    """Declares an environment and exports its outputs as `environment`."""
    provider = aws_provider(site)
    environment = Environment(
        "environment", EnvironmentArgs(site=site, compiled=compiled), pulumi.ResourceOptions(providers={"aws": provider})
    )
    pulumi.export("environment", environment.outputs.apply(lambda outputs: outputs.model_dump(mode="json")))
    return environment
