"""Image repositories and their policies."""

from __future__ import annotations

from local.provider.resource import AutoName, Call, Read, ResourceType, Setting, Tags

_GONE = ("RepositoryNotFoundException",)

REPOSITORY = ResourceType(
    token="aws:ecr/repository:Repository",
    service="ecr",
    create=Call(
        "CreateRepository",
        {"repositoryName": "$name", "encryptionConfiguration": "$encryptionConfigurations"},
        fields=("imageTagMutability", "imageScanningConfiguration"),
    ),
    identity="repository.repositoryName",
    reads=(
        Read(
            "DescribeRepositories",
            {"repositoryNames": ["$id"]},
            at="repositories[0]",
            fields={
                "arn": "repositoryArn",
                "name": "repositoryName",
                "repositoryUrl": "repositoryUri",
                "encryptionConfigurations": "encryptionConfiguration",
            },
            skip=("imageTagMutabilityExclusionFilters",),
            absent=_GONE,
        ),
    ),
    settings=(
        Setting(
            ("imageTagMutability",),
            Call("PutImageTagMutability", {"repositoryName": "$id"}, fields=("imageTagMutability",)),
            at_create=False,
        ),
        Setting(
            ("imageScanningConfiguration",),
            Call("PutImageScanningConfiguration", {"repositoryName": "$id"}, fields=("imageScanningConfiguration",)),
            at_create=False,
        ),
    ),
    delete=Call("DeleteRepository", {"repositoryName": "$id", "force": "$forceDelete"}),
    absent=_GONE,
    replace=("name", "encryptionConfigurations"),
    name=AutoName("name", 256, lower=True),
    defaults={"imageTagMutability": "MUTABLE"},
    computed=("encryptionConfigurations", "imageScanningConfiguration"),
    local=("forceDelete",),
    tags=Tags(
        tag=Call("TagResource", {"resourceArn": "$arn"}),
        untag=Call("UntagResource", {"resourceArn": "$arn"}),
        member="tags",
        names="tagKeys",
        create="tags",
        read=Read("ListTagsForResource", {"resourceArn": "$arn"}, at="tags", absent=_GONE),
    ),
)

LIFECYCLE_POLICY = ResourceType(
    token="aws:ecr/lifecyclePolicy:LifecyclePolicy",
    service="ecr",
    create=Call("PutLifecyclePolicy", {"repositoryName": "$repository", "lifecyclePolicyText": "$policy"}),
    identity="{repository}",
    reads=(
        Read(
            "GetLifecyclePolicy",
            {"repositoryName": "$id"},
            fields={"repository": "repositoryName", "policy": "lifecyclePolicyText"},
            absent=("LifecyclePolicyNotFoundException", *_GONE),
        ),
    ),
    delete=Call("DeleteLifecyclePolicy", {"repositoryName": "$id"}),
    replace=("repository", "policy"),
    delete_before_replace=True,  # there is one of a repository: the old one's end would be the new one's
    documents=("policy",),
)

REPOSITORY_POLICY = ResourceType(
    token="aws:ecr/repositoryPolicy:RepositoryPolicy",
    service="ecr",
    create=Call("SetRepositoryPolicy", {"repositoryName": "$repository", "policyText": "$policy"}),
    identity="{repository}",
    reads=(
        Read(
            "GetRepositoryPolicy",
            {"repositoryName": "$id"},
            fields={"repository": "repositoryName", "policy": "policyText"},
            absent=("RepositoryPolicyNotFoundException", *_GONE),
        ),
    ),
    delete=Call("DeleteRepositoryPolicy", {"repositoryName": "$id"}),
    upsert=True,
    replace=("repository",),
    documents=("policy",),
)

TYPES = (REPOSITORY, LIFECYCLE_POLICY, REPOSITORY_POLICY)
