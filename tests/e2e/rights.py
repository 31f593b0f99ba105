"""Rights that roles have and the rehearsal leaves idle: what AWS needs though nothing here asks for it, and paths that are not taken."""

from __future__ import annotations

from typing import get_args

from infra.config import load_all
from infra.duties import KeyArns, permissions
from infra.naming import Duty
from infra.site import Site
from tests.e2e.rehearsal import ROOT

# "How to use SageMaker AI execution roles" lists these for roles of jobs and models; AWS does not say what fails without them.
_EXECUTION = {
    "cloudwatch:PutMetricData": "metrics of the instances, published under the role; the veto of a promotion",
    "kms:DescribeKey": "keys of volumes and outputs are looked at before they are used",
    "kms:Encrypt": 'OutputDataConfig.KmsKeyId: the role "must include permissions to call kms:Encrypt"',
    "logs:DescribeLogStreams": "looked for before a stream is made",
}
# Per duty: action -> why it is there all the same.
UNUSED: dict[Duty, dict[str, str]] = {
    "jobs": {
        **_EXECUTION,
        "s3:AbortMultipartUpload": "clears away an upload in parts that failed",
        "s3:GetBucketAcl": "the feature store's offline half",
        "s3:PutObjectAcl": "the feature store's offline half",
        **{
            f"sagemaker:{name}": "features, online and offline"
            for name in ("BatchGetRecord", "DescribeFeatureGroup", "GetRecord", "PutRecord")
        },
        **{
            f"sagemaker:{name}": "the champion, once a release serves where the training runs"
            for name in ("DescribeEndpointConfig", "DescribeModel", "DescribeModelPackage", "ListTags")
        },
    },
    "serving": {
        **_EXECUTION,
        "kms:CreateGrant": "volumes of instances that replace others, long after the caller of CreateEndpoint is gone",
        "s3:ListBucket": 'CreateModel: "please ensure that the role has s3:ListBucket" for models that are not archives',
    },
    "promotion": {**_EXECUTION, "s3:AbortMultipartUpload": "clears away an upload in parts that failed"},
    "pipelines": {
        "sagemaker:AddTags": "SageMaker tags what a pipeline makes with the pipeline's ARN",
        "sagemaker:StopProcessingJob": "StopPipelineExecution stops the jobs that run",
        "sagemaker:StopTrainingJob": "StopPipelineExecution stops the jobs that run",
    },
    "events": {},
    "flow-logs": {
        f"logs:{name}": "flow logs are delivered by AWS; nothing flows here"
        for name in ("CreateLogStream", "DescribeLogGroups", "DescribeLogStreams", "PutLogEvents")
    },
}


def granted(environment: str, duty: Duty) -> set[str]:
    """The actions of a role's own policy."""
    stacks = load_all(ROOT / "stacks")
    key = "arn:aws:kms:us-east-1:111111111111:key/any"
    statements = permissions(Site.of(stacks[environment], stacks), duty, KeyArns(data=key, artefacts=key, ledger=key, operations=key))
    found: set[str] = set()
    for each in statements:
        found |= {each["Action"]} if isinstance(each["Action"], str) else set(each["Action"])
    return found


def role_arn(environment: str, duty: Duty) -> str:
    stacks = load_all(ROOT / "stacks")
    return Site.of(stacks[environment], stacks).names.role_arn(duty)


DUTIES: tuple[Duty, ...] = get_args(Duty)
