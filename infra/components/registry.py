"""Where images and model packages are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import get_args

import pulumi
from pulumi_aws.ecr.lifecycle_policy import LifecyclePolicy
from pulumi_aws.ecr.repository import Repository
from pulumi_aws.ecr.repository_policy import RepositoryPolicy
from pulumi_aws.sagemaker.model_package_group import ModelPackageGroup
from pulumi_aws.sagemaker.model_package_group_policy import ModelPackageGroupPolicy

from infra import grants, outputs
from infra.naming import RepositoryPurpose
from infra.site import Site


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    site: Site
    key_arn: pulumi.Input[str]


class Registry(pulumi.ComponentResource):
    """Two image repositories (the workload's, the toolkit's) and the model package group.

    Tags are immutable and images are scanned when pushed. The next environment's promotion role may pull workload
    images and read packages; see `infra.grants`.

    Attributes:
        group_name: the model package group's name.
    """

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Registry", name, None, opts)
        site, child = args.site, pulumi.ResourceOptions(parent=self)
        for purpose in get_args(RepositoryPurpose):
            repository = Repository(
                f"{name}-{purpose}",
                name=site.names.repository(purpose),
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration={"scan_on_push": True},
                encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key_arn}],
                force_delete=site.config.disposable,
                opts=child,
            )
            LifecyclePolicy(
                f"{name}-{purpose}-lifecycle",
                repository=repository.name,
                policy=expire_untagged(site.config.retention.untagged_images),
                opts=child,
            )
            RepositoryPolicy(
                f"{name}-{purpose}-policy", repository=repository.name, policy=grants.repository_policy(site, purpose), opts=child
            )
        group = ModelPackageGroup(
            f"{name}-packages",
            model_package_group_name=site.names.model_package_group,
            model_package_group_description=f"Candidates and releases of the workload {site.config.workload}",
            opts=child,
        )
        ModelPackageGroupPolicy(
            f"{name}-packages-policy",
            model_package_group_name=group.model_package_group_name,
            resource_policy=grants.package_group_policy(site),
            opts=child,
        )
        self.group_name = group.model_package_group_name
        self.outputs = outputs.Repositories(
            **{
                purpose: outputs.Repository(
                    name=site.names.repository(purpose), arn=site.names.repository_arn(purpose), uri=site.names.repository_uri(purpose)
                )
                for purpose in get_args(RepositoryPurpose)
            }
        )
        self.register_outputs({"group_name": self.group_name})


def expire_untagged(days: int) -> str:
    """A lifecycle policy that drops images which lost their tag: a released image keeps its tag for good."""
    rule = {
        "rulePriority": 1,
        "description": "Images without a tag",
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]}, separators=(",", ":"))
