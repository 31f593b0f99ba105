"""What calls need: for each operation that our roles make, the actions and ARNs by AWS's pages, and the condition keys it carries."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from local.cloud.iam.needs import Need, needs_of
from tests.cloud.aws import ACCOUNT, OTHER, REGION

Ask = Callable[..., list[Need]]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
HERE = f"{REGION}:{ACCOUNT}"
JOB = {
    "RoleArn": ROLE,
    "AppSpecification": {"ImageUri": "image"},
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "VolumeKmsKeyId": "volume-key"}
    },
    "NetworkConfig": {"EnableNetworkIsolation": False, "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
TRAINING = {
    "RoleArn": ROLE,
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://b/o", "KmsKeyId": "output-key"},
    "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "EnableNetworkIsolation": True,
}
VARIANT = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
TAGS = [{"Key": "environment", "Value": "dev"}]
ALARM = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1.0}
KEYED = {"TableName": "t", "Key": {"id": {"S": "x"}}}

# (service, operation, parameters) -> what it needs, in order.
TABLE: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "sagemaker",
        "create_processing_job",
        {"ProcessingJobName": "j", **JOB},
        [f"sagemaker:CreateProcessingJob arn:aws:sagemaker:{HERE}:processing-job/j", f"iam:PassRole {ROLE}"],
    ),
    (
        "sagemaker",
        "create_training_job",
        {"TrainingJobName": "j", **TRAINING, "Tags": TAGS},
        [
            f"sagemaker:CreateTrainingJob arn:aws:sagemaker:{HERE}:training-job/j",
            f"sagemaker:AddTags arn:aws:sagemaker:{HERE}:training-job/j",
            f"iam:PassRole {ROLE}",
        ],
    ),
    (
        "sagemaker",
        "stop_processing_job",
        {"ProcessingJobName": "j"},
        [f"sagemaker:StopProcessingJob arn:aws:sagemaker:{HERE}:processing-job/j"],
    ),
    (
        "sagemaker",
        "create_model",
        {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "i"}, "Tags": TAGS},
        [
            f"sagemaker:CreateModel arn:aws:sagemaker:{HERE}:model/m",
            f"sagemaker:AddTags arn:aws:sagemaker:{HERE}:model/m",
            f"iam:PassRole {ROLE}",
        ],
    ),
    (
        "sagemaker",
        "create_endpoint_config",
        {"EndpointConfigName": "c", "ProductionVariants": [VARIANT]},
        [f"sagemaker:CreateEndpointConfig arn:aws:sagemaker:{HERE}:endpoint-config/c"],
    ),
    (
        "sagemaker",
        "update_endpoint",
        {"EndpointName": "e", "EndpointConfigName": "c"},
        [
            f"sagemaker:UpdateEndpoint arn:aws:sagemaker:{HERE}:endpoint/e",
            f"sagemaker:UpdateEndpoint arn:aws:sagemaker:{HERE}:endpoint-config/c",
        ],
    ),
    ("sagemaker", "list_models", {}, ["sagemaker:ListModels *"]),
    (
        "sagemaker",
        "list_tags",
        {"ResourceArn": f"arn:aws:sagemaker:{HERE}:model/m"},
        [f"sagemaker:ListTags arn:aws:sagemaker:{HERE}:model/m"],
    ),
    (
        "sagemaker",
        "create_model_package",
        {"ModelPackageGroupName": "g"},
        [
            f"sagemaker:CreateModelPackage arn:aws:sagemaker:{HERE}:model-package/g/*",
            f"sagemaker:CreateModelPackage arn:aws:sagemaker:{HERE}:model-package-group/g",
        ],
    ),
    (
        "sagemaker",
        "update_model_package",
        {"ModelPackageArn": f"arn:aws:sagemaker:{HERE}:model-package/g/3", "ModelApprovalStatus": "Approved"},
        [f"sagemaker:UpdateModelPackage arn:aws:sagemaker:{HERE}:model-package/g/3"],
    ),
    (
        "sagemaker",
        "list_model_packages",
        {"ModelPackageGroupName": f"arn:aws:sagemaker:{REGION}:{OTHER}:model-package-group/g"},
        [f"sagemaker:ListModelPackages arn:aws:sagemaker:{REGION}:{OTHER}:model-package/g/*"],
    ),
    (
        "sagemaker",
        "describe_feature_group",
        {"FeatureGroupName": "f"},
        [f"sagemaker:DescribeFeatureGroup arn:aws:sagemaker:{HERE}:feature-group/f"],
    ),
    (
        "sagemaker",
        "start_pipeline_execution",
        {"PipelineName": "p", "ClientRequestToken": "t" * 32},
        [f"sagemaker:StartPipelineExecution arn:aws:sagemaker:{HERE}:pipeline/p"],
    ),
    (
        "sagemaker",
        "describe_pipeline_execution",
        {"PipelineExecutionArn": f"arn:aws:sagemaker:{HERE}:pipeline/p/execution/abcdefghijkl"},
        [f"sagemaker:DescribePipelineExecution arn:aws:sagemaker:{HERE}:pipeline/p/execution/abcdefghijkl"],
    ),
    (
        "sagemaker",
        "update_pipeline",
        {"PipelineName": "p", "RoleArn": ROLE},
        [f"sagemaker:UpdatePipeline arn:aws:sagemaker:{HERE}:pipeline/p", f"iam:PassRole {ROLE}"],
    ),
    ("s3", "get_object", {"Bucket": "needs", "Key": "a b/ü"}, ["s3:GetObject arn:aws:s3:::needs/a b/ü"]),
    ("s3", "get_object", {"Bucket": "needs", "Key": "k", "VersionId": "1"}, ["s3:GetObjectVersion arn:aws:s3:::needs/k"]),
    ("s3", "head_object", {"Bucket": "needs", "Key": "k"}, ["s3:GetObject arn:aws:s3:::needs/k"]),
    ("s3", "list_objects_v2", {"Bucket": "needs", "Prefix": "p/"}, ["s3:ListBucket arn:aws:s3:::needs"]),
    (
        "s3",
        "put_object",
        {"Bucket": "needs", "Key": "k", "Body": b"", "Tagging": "a=b"},
        ["s3:PutObject arn:aws:s3:::needs/k", "s3:PutObjectTagging arn:aws:s3:::needs/k"],
    ),
    (
        "s3",
        "copy_object",
        {"Bucket": "needs", "Key": "k", "CopySource": "needs/from"},
        ["s3:PutObject arn:aws:s3:::needs/k", "s3:GetObject arn:aws:s3:::needs/from"],
    ),
    ("s3", "get_object_lock_configuration", {"Bucket": "needs"}, ["s3:GetBucketObjectLockConfiguration arn:aws:s3:::needs"]),
    ("s3", "list_buckets", {}, ["s3:ListAllMyBuckets *"]),
    ("ecr", "get_authorization_token", {}, ["ecr:GetAuthorizationToken *"]),
    (
        "ecr",
        "batch_get_image",
        {"repositoryName": "images", "imageIds": [{"imageTag": "t"}], "registryId": OTHER},
        [f"ecr:BatchGetImage arn:aws:ecr:{REGION}:{OTHER}:repository/images"],
    ),
    ("kms", "describe_key", {"KeyId": "alias/needs"}, ["kms:DescribeKey KEY"]),
    ("kms", "create_grant", {"KeyId": "KEY", "GranteePrincipal": ROLE, "Operations": ["Decrypt"]}, ["kms:CreateGrant KEY"]),
    (
        "cloudwatch",
        "put_metric_alarm",
        {"AlarmName": "a", "Tags": TAGS, **ALARM},
        [f"cloudwatch:PutMetricAlarm arn:aws:cloudwatch:{HERE}:alarm:a", f"cloudwatch:TagResource arn:aws:cloudwatch:{HERE}:alarm:a"],
    ),
    (
        "cloudwatch",
        "delete_alarms",
        {"AlarmNames": ["a", "b"]},
        [f"cloudwatch:DeleteAlarms arn:aws:cloudwatch:{HERE}:alarm:a", f"cloudwatch:DeleteAlarms arn:aws:cloudwatch:{HERE}:alarm:b"],
    ),
    ("cloudwatch", "describe_alarms", {"AlarmNames": ["a"]}, [f"cloudwatch:DescribeAlarms arn:aws:cloudwatch:{HERE}:alarm:a"]),
    ("cloudwatch", "put_metric_data", {"Namespace": "N", "MetricData": [{"MetricName": "m", "Value": 1}]}, ["cloudwatch:PutMetricData *"]),
    ("dynamodb", "get_item", KEYED, [f"dynamodb:GetItem arn:aws:dynamodb:{HERE}:table/t"]),
    (
        "logs",
        "put_log_events",
        {"logGroupName": "/g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
        [f"logs:PutLogEvents arn:aws:logs:{HERE}:log-group:/g:log-stream:s"],
    ),
    ("logs", "create_log_group", {"logGroupName": "/g"}, [f"logs:CreateLogGroup arn:aws:logs:{HERE}:log-group:/g:log-stream:"]),
    ("logs", "describe_log_groups", {}, ["logs:DescribeLogGroups *"]),
    ("events", "put_rule", {"Name": "r", "ScheduleExpression": "rate(1 day)"}, [f"events:PutRule arn:aws:events:{HERE}:rule/r"]),
    (
        "events",
        "put_targets",
        {"Rule": "r", "Targets": [{"Id": "1", "Arn": "arn:aws:sns:x", "RoleArn": ROLE}]},
        [f"events:PutTargets arn:aws:events:{HERE}:rule/r", f"iam:PassRole {ROLE}"],
    ),
    ("iam", "get_role", {"RoleName": "needs"}, [f"iam:GetRole arn:aws:iam::{ACCOUNT}:role/team/needs"]),
    (
        "iam",
        "create_policy",
        {"PolicyName": "p", "Path": "/x/", "PolicyDocument": "{}"},
        [f"iam:CreatePolicy arn:aws:iam::{ACCOUNT}:policy/x/p"],
    ),
    ("sts", "get_caller_identity", {}, []),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "me"}, [f"sts:AssumeRole {ROLE}"]),
    ("sns", "publish", {"TopicArn": f"arn:aws:sns:{HERE}:t", "Message": "m"}, [f"sns:Publish arn:aws:sns:{HERE}:t"]),
    ("sqs", "send_message", {"QueueUrl": f"http://sqs/{ACCOUNT}/q", "MessageBody": "m"}, [f"sqs:SendMessage arn:aws:sqs:{HERE}:q"]),
    (
        "ec2",
        "create_subnet",
        {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"},
        [f"ec2:CreateSubnet arn:aws:ec2:{HERE}:subnet/*", f"ec2:CreateSubnet arn:aws:ec2:{HERE}:vpc/vpc-1"],
    ),
    (
        "ec2",
        "create_flow_logs",
        {"ResourceIds": ["vpc-1"], "ResourceType": "VPC", "DeliverLogsPermissionArn": ROLE, "LogGroupName": "g"},
        [f"ec2:CreateFlowLogs arn:aws:ec2:{HERE}:vpc-flow-log/*", f"iam:PassRole {ROLE}"],
    ),
]


@pytest.fixture(scope="module")
def key(cloud: Cloud) -> str:
    """A key with an alias, a bucket and a role with a path, for what is looked up."""
    session = cloud.session(ACCOUNT, REGION)
    arn: str = session.client("kms").create_key()["KeyMetadata"]["Arn"]
    session.client("kms").create_alias(AliasName="alias/needs", TargetKeyId=arn)
    session.client("s3").create_bucket(Bucket="needs")
    trust = {"Version": "2012-10-17", "Statement": []}
    session.client("iam").create_role(RoleName="needs", Path="/team/", AssumeRolePolicyDocument=json.dumps(trust))
    return arn


@pytest.fixture(scope="module")
def clients(cloud: Cloud) -> Callable[[str], Any]:
    """A client of each service, made once."""
    return cache(cloud.session(ACCOUNT, REGION).client)


@pytest.fixture
def ask(cloud: Cloud, clients: Callable[[str], Any], key: str) -> Iterator[Ask]:
    """Makes a call and gives what the guards saw that it needs."""
    seen: list[list[Need]] = []

    def watch(call: Any) -> None:
        seen.append(needs_of(call))

    def make(service: str, operation: str, **given: Any) -> list[Need]:
        del seen[:]
        with contextlib.suppress(ClientError):
            getattr(clients(service), operation)(**given)
        return seen[-1]

    cloud.guards.insert(0, watch)
    yield make
    cloud.guards.remove(watch)


@pytest.mark.parametrize(("service", "operation", "given", "wanted"), TABLE, ids=[f"{row[0]}-{row[1]}-{n}" for n, row in enumerate(TABLE)])
def test_an_operation_needs(ask: Ask, key: str, service: str, operation: str, given: dict[str, Any], wanted: list[str]) -> None:
    filled = {name: key if value == "KEY" else value for name, value in given.items()}
    assert [f"{need.action} {need.resource}" for need in ask(service, operation, **filled)] == [text.replace("KEY", key) for text in wanted]


def test_a_job_carries_what_policies_ask_about(ask: Ask) -> None:
    job, passed = ask("sagemaker", "create_processing_job", ProcessingJobName="j", **JOB)
    assert job.keys == {
        "sagemaker:vpcsubnets": ["subnet-1", "subnet-2"],
        "sagemaker:vpcsecuritygroupids": "sg-1",
        "sagemaker:networkisolation": "false",
        "sagemaker:volumekmskey": "volume-key",
        "sagemaker:instancetypes": "ml.m5.large",
        "sagemaker:maxruntimeinseconds": "60",
    }
    assert passed.keys == {"iam:passedtoservice": "sagemaker.amazonaws.com"}


def test_tags_are_keys_of_the_creation_and_of_the_tagging(ask: Ask) -> None:
    training, tagging, _ = ask("sagemaker", "create_training_job", TrainingJobName="j", **TRAINING, Tags=TAGS)
    assert tagging.keys == {"aws:requesttag/environment": "dev", "aws:tagkeys": ["environment"]}
    assert training.keys.items() >= {**tagging.keys, "sagemaker:outputkmskey": "output-key", "sagemaker:networkisolation": "true"}.items()


def test_keys_say_their_aliases_and_who_asks_through_whom(ask: Ask, cloud: Cloud, key: str) -> None:
    asked = ask("kms", "describe_key", KeyId="alias/needs")[0].keys
    assert asked == {"kms:calleraccount": ACCOUNT, "kms:resourcealiases": ["alias/needs"], "kms:requestalias": "alias/needs"}
    put, use = ask("s3", "put_object", Bucket="needs", Key="k", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert (put.action, use.action, use.resource) == ("s3:PutObject", "kms:GenerateDataKey", key)
    assert use.keys["kms:viaservice"] == f"s3.{REGION}.amazonaws.com"
    read, decrypt = ask("s3", "get_object", Bucket="needs", Key="k")
    assert (read.action, decrypt.action, decrypt.resource) == ("s3:GetObject", "kms:Decrypt", key)


def test_a_namespace_a_prefix_an_approval(ask: Ask) -> None:
    metric = ask("cloudwatch", "put_metric_data", Namespace="Mine", MetricData=[{"MetricName": "m", "Value": 1}])
    assert metric[0].keys == {"cloudwatch:namespace": "Mine"}
    assert ask("s3", "list_objects_v2", Bucket="needs", Prefix="p/")[0].keys["s3:prefix"] == "p/"
    package = ask(
        "sagemaker",
        "create_model_package",
        ModelPackageGroupName="g",
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"a": "b"},
    )
    assert package[0].keys == {"sagemaker:modelapprovalstatus": "Approved", "sagemaker:customermetadataproperties/a": "b"}
