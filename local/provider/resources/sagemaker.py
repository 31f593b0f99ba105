"""Models, endpoints, feature groups, pipelines, the model registry's groups."""

from __future__ import annotations

from local.provider.api import Api
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Setting, Tags, Wait


def _gone(*texts: str) -> tuple[str, ...]:
    """SageMaker answers ValidationException for what does not exist; the message tells."""
    return ("ResourceNotFound", *(f"ValidationException:{text}" for text in ("could not find", "cannot find", "does not exist", *texts)))


def _tags() -> Tags:
    return Tags(
        tag=Call("AddTags", {"ResourceArn": "$arn"}),
        untag=Call("DeleteTags", {"ResourceArn": "$arn"}),
        read=Read("ListTags", {"ResourceArn": "$arn"}, at="Tags"),
    )


GROUP = ResourceType(
    token="aws:sagemaker/modelPackageGroup:ModelPackageGroup",
    service="sagemaker",
    create=Call("CreateModelPackageGroup", fields=("modelPackageGroupName", "modelPackageGroupDescription")),
    identity="{modelPackageGroupName}",
    reads=(
        Read(
            "DescribeModelPackageGroup",
            {"ModelPackageGroupName": "$id"},
            fields={"arn": "ModelPackageGroupArn"},
            absent=_gone(),
        ),
    ),
    delete=Call("DeleteModelPackageGroup", {"ModelPackageGroupName": "$id"}),
    replace=("modelPackageGroupName", "modelPackageGroupDescription"),
    tags=_tags(),
    wait=Wait("ModelPackageGroupStatus", ("Completed",), ("Failed",)),
)

GROUP_POLICY = ResourceType(
    token="aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",
    service="sagemaker",
    create=Call("PutModelPackageGroupPolicy", fields=("modelPackageGroupName", "resourcePolicy")),
    identity="{modelPackageGroupName}",
    reads=(
        Read(
            "GetModelPackageGroupPolicy",
            {"ModelPackageGroupName": "$id"},
            skip=("modelPackageGroupName",),
            absent=_gone(),
        ),
    ),
    delete=Call("DeleteModelPackageGroupPolicy", {"ModelPackageGroupName": "$id"}),
    upsert=True,
    replace=("modelPackageGroupName",),
    documents=("resourcePolicy",),
    local=("modelPackageGroupName",),
)

_FEATURE_GROUP = (
    "featureGroupName",
    "description",
    "recordIdentifierFeatureName",
    "eventTimeFeatureName",
    "featureDefinitions",
    "roleArn",
    "onlineStoreConfig",
    "offlineStoreConfig",
    "throughputConfig",
)


def _time_to_live(api: Api, old: Properties, new: Properties) -> None:
    duration = (new.get("onlineStoreConfig") or {}).get("ttlDuration")
    update = {"TtlDuration": {k.capitalize(): v for k, v in duration.items()}} if duration else {}
    api.call("sagemaker", "UpdateFeatureGroup", FeatureGroupName=new["id"], OnlineStoreConfig=update)


FEATURE_GROUP = ResourceType(
    token="aws:sagemaker/featureGroup:FeatureGroup",
    service="sagemaker",
    create=Call("CreateFeatureGroup", fields=_FEATURE_GROUP),
    identity="{featureGroupName}",
    reads=(Read("DescribeFeatureGroup", {"FeatureGroupName": "$id"}, fields={"arn": "FeatureGroupArn"}, absent=_gone("not found")),),
    delete=Call("DeleteFeatureGroup", {"FeatureGroupName": "$id"}),
    replace=(
        *(p for p in _FEATURE_GROUP if p not in ("onlineStoreConfig", "throughputConfig")),
        "onlineStoreConfig.enableOnlineStore",
        "onlineStoreConfig.securityConfig",
        "onlineStoreConfig.storageType",
    ),
    settings=(
        Setting(
            ("throughputConfig",),
            Call("UpdateFeatureGroup", {"FeatureGroupName": "$id"}, fields=("throughputConfig",)),
            at_create=False,
        ),
        Setting(("onlineStoreConfig",), _time_to_live, at_create=False),
    ),
    computed=("throughputConfig",),
    ordered=("featureDefinitions",),
    tags=_tags(),
    wait=Wait("FeatureGroupStatus", ("Created",), ("CreateFailed",), reason="FailureReason", seconds=1200),
    vanishes=True,
)

_MODEL = ("executionRoleArn", "enableNetworkIsolation", "primaryContainer", "containers", "vpcConfig", "inferenceExecutionConfig")
_MODEL_BLOCKS = ("vpcConfig", "inferenceExecutionConfig")


def _blocks_that_come_or_go(old: Properties, new: Properties, changed: set[str]) -> set[str]:
    """A model never changes; but the official plugin replaces it for these two only where one comes or goes.

    A change inside one passes as an update that changes nothing, and shows again in the next preview.
    """
    return {name for name in _MODEL_BLOCKS if bool(old.get(name)) != bool(new.get(name))}


MODEL = ResourceType(
    token="aws:sagemaker/model:Model",
    service="sagemaker",
    create=Call("CreateModel", {"ModelName": "$name"}, fields=_MODEL),
    identity="{name}",
    reads=(
        Read(
            "DescribeModel",
            {"ModelName": "$id"},
            fields={"arn": "ModelArn", "name": "ModelName"},
            absent=_gone("not find model"),
        ),
    ),
    delete=Call("DeleteModel", {"ModelName": "$id"}),
    replace=("name", *(p for p in _MODEL if p not in _MODEL_BLOCKS)),
    must_replace=_blocks_that_come_or_go,
    name=AutoName("name", 63),
    defaults={"enableNetworkIsolation": False},
    computed=("inferenceExecutionConfig",),
    ordered=("containers",),
    tags=_tags(),
)

_CONFIGURATION = ("executionRoleArn", "productionVariants", "shadowProductionVariants", "dataCaptureConfig", "asyncInferenceConfig")

ENDPOINT_CONFIGURATION = ResourceType(
    token="aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    service="sagemaker",
    create=Call("CreateEndpointConfig", {"EndpointConfigName": "$name", "KmsKeyId": "$kmsKeyArn"}, fields=_CONFIGURATION),
    identity="{name}",
    reads=(
        Read(
            "DescribeEndpointConfig",
            {"EndpointConfigName": "$id"},
            fields={"arn": "EndpointConfigArn", "name": "EndpointConfigName", "kmsKeyArn": "KmsKeyId"},
            absent=_gone(),
        ),
    ),
    delete=Call("DeleteEndpointConfig", {"EndpointConfigName": "$id"}),
    replace=("name", "namePrefix", "kmsKeyArn", *_CONFIGURATION),
    name=AutoName("name", 63, prefix="namePrefix"),
    computed=("namePrefix",),
    local=("namePrefix",),
    ordered=("productionVariants", "shadowProductionVariants"),
    tags=_tags(),
)

ENDPOINT = ResourceType(
    token="aws:sagemaker/endpoint:Endpoint",
    service="sagemaker",
    create=Call("CreateEndpoint", {"EndpointName": "$name"}, fields=("endpointConfigName", "deploymentConfig")),
    identity="{name}",
    reads=(
        Read(
            "DescribeEndpoint",
            {"EndpointName": "$id"},
            fields={"arn": "EndpointArn", "name": "EndpointName", "deploymentConfig": "LastDeploymentConfig"},
            absent=_gone(),
        ),
    ),
    settings=(
        Setting(
            ("endpointConfigName", "deploymentConfig"),
            Call("UpdateEndpoint", {"EndpointName": "$id"}, fields=("endpointConfigName", "deploymentConfig")),
            at_create=False,
        ),
    ),
    delete=Call("DeleteEndpoint", {"EndpointName": "$id"}),
    replace=("name",),
    name=AutoName("name", 63),
    tags=_tags(),
    wait=Wait("EndpointStatus", ("InService",), ("Failed", "OutOfService", "UpdateRollbackFailed"), reason="FailureReason", seconds=3600),
    vanishes=True,
)

_PIPELINE = (
    "pipelineName",
    "pipelineDisplayName",
    "pipelineDescription",
    "pipelineDefinition",
    "pipelineDefinitionS3Location",
    "roleArn",
    "parallelismConfiguration",
)

PIPELINE = ResourceType(
    token="aws:sagemaker/pipeline:Pipeline",
    service="sagemaker",
    create=Call("CreatePipeline", fields=_PIPELINE),
    identity="{pipelineName}",
    reads=(Read("DescribePipeline", {"PipelineName": "$id"}, fields={"arn": "PipelineArn"}, absent=_gone()),),
    settings=(Setting(_PIPELINE[1:], Call("UpdatePipeline", {"PipelineName": "$id"}, fields=_PIPELINE[1:]), at_create=False),),
    delete=Call("DeletePipeline", {"PipelineName": "$id"}),
    replace=("pipelineName",),
    documents=("pipelineDefinition",),
    computed=("pipelineDefinition",),
    local=("pipelineDefinitionS3Location",),
    tags=_tags(),
)

TYPES = (GROUP, GROUP_POLICY, FEATURE_GROUP, MODEL, ENDPOINT_CONFIGURATION, ENDPOINT, PIPELINE)
