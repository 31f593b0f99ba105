"""What each role may do, one role per duty, and who may assume it.

Statements name this environment's resources; the promotion role alone also reads the environment before it. Keys of
that environment can't be named (their ids are its own affair), so their aliases are the condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from infra.documents import Condition, Statement, document, service_principal, statement
from infra.grants import READ_IMAGES, READ_PACKAGES, READABLE_PREFIXES, SIGNATURES
from infra.naming import BucketPurpose, Duty, PipelineKind
from infra.site import Site

PASSED_TO_SAGEMAKER = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
RELEASE_METRICS = "Lockstep/Release"
_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
_PUSH = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
_INTERFACES = [
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
]
_SEE_NETWORK = [
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
]
_READ_ENDPOINT = ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"]
_READ_OBJECTS = ["s3:GetObject"]
_WRITE_OBJECTS = ["s3:AbortMultipartUpload", "s3:PutObject"]
_WRITE_KEY = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
_READ_KEY = ["kms:Decrypt"]


@dataclass(frozen=True, kw_only=True)
class KeyArns:
    """ARNs of this environment's customer keys."""

    data: str
    artefacts: str
    ledger: str
    operations: str


def trust(site: Site, duty: Duty) -> str:
    """The trust policy of a role: one service, on behalf of this account."""
    service = {"events": "events", "flow-logs": "vpc-flow-logs"}.get(duty, "sagemaker")
    return document(
        [
            statement(
                "ServiceAssumes",
                ["sts:AssumeRole"],
                None,
                principal=service_principal(service),
                condition={"StringEquals": {"aws:SourceAccount": site.names.account_id}},
            )
        ]
    )


def permissions(site: Site, duty: Duty, keys: KeyArns) -> list[Statement]:
    """The statements of a role's policy."""
    return {
        "jobs": _jobs,
        "serving": _serving,
        "promotion": _promotion,
        "pipelines": _pipelines,
        "events": _events,
        "flow-logs": _flow_logs,
    }[duty](site, keys)


def _jobs(site: Site, keys: KeyArns) -> list[Statement]:
    names = site.names
    return [
        _objects(site, "ReadData", _READ_OBJECTS, "data"),
        # The feature store tries both ACL calls, also where a bucket has no ACLs.
        _objects(site, "WriteFeatures", ["s3:PutObject", "s3:PutObjectAcl"], "data", "features"),
        statement("SeeFeatureBucket", ["s3:GetBucketAcl"], names.bucket_arn("data")),
        _objects(site, "UseArtefacts", [*_READ_OBJECTS, *_WRITE_OBJECTS], "artefacts"),
        _objects(site, "ReadLedger", _READ_OBJECTS, "ledger"),
        _buckets(site, "data", "artefacts", "ledger"),
        statement("WriteWithKeys", _WRITE_KEY, [keys.data, keys.artefacts]),
        statement("ReadWithKeys", _READ_KEY, keys.ledger),
        statement("DelegateVolumeKeys", ["kms:CreateGrant"], [keys.data, keys.artefacts], condition=_for_aws_resources()),
        *_images(site, "workload", "toolkit"),
        *_logs_and_metrics(site, "/aws/sagemaker/*"),
        *_network_interfaces(site),
        _register_candidates(site),
        statement("ReadRegistry", READ_PACKAGES, names.model_package_arns),
        statement("FindChampion", [*_READ_ENDPOINT, "sagemaker:ListTags"], _endpoint_parts(site)),
        statement(
            "UseFeatures",
            ["sagemaker:BatchGetRecord", "sagemaker:DescribeFeatureGroup", "sagemaker:GetRecord", "sagemaker:PutRecord"],
            names.arn("sagemaker", f"feature-group/{names.feature_group}"),
        ),
    ]


def _serving(site: Site, keys: KeyArns) -> list[Statement]:
    bootstrap = site.config.serving.bootstrap_image
    account, repository = bootstrap.split(".")[0], bootstrap.split("/", 1)[1].split("@")[0]
    return [
        _objects(site, "ReadModels", _READ_OBJECTS, "artefacts", "models", "bootstrap"),
        _objects(site, "WriteCapture", ["s3:PutObject"], "capture"),
        _buckets(site, "artefacts", "capture"),
        statement("ReadWithKey", _READ_KEY, keys.artefacts),
        statement("CaptureWithKey", _WRITE_KEY, keys.data),
        statement("DelegateVolumeKey", ["kms:CreateGrant"], keys.data, condition=_for_aws_resources()),
        *_images(site, "workload"),
        statement("PullBootstrapImage", _PULL, site.names.arn("ecr", f"repository/{repository}", account_id=account)),
        *_logs_and_metrics(site, "/aws/sagemaker/*"),
        statement("SeeAlarms", ["cloudwatch:DescribeAlarms"]),
        *_network_interfaces(site),
    ]


def _promotion(site: Site, keys: KeyArns) -> list[Statement]:
    names = site.names
    releases = [names.arn("sagemaker", f"{kind}/{names.release_prefix}*") for kind in ("model", "endpoint-config")]
    return [
        _objects(site, "ReadData", _READ_OBJECTS, "data"),
        _objects(site, "UseArtefacts", [*_READ_OBJECTS, *_WRITE_OBJECTS], "artefacts"),
        _objects(site, "WriteLedger", [*_READ_OBJECTS, "s3:PutObject"], "ledger"),
        _buckets(site, "data", "artefacts", "ledger"),
        statement("SeeLedgerLock", ["s3:GetBucketObjectLockConfiguration"], names.bucket_arn("ledger")),
        statement("WriteWithKeys", _WRITE_KEY, [keys.artefacts, keys.ledger, keys.operations]),
        statement("ReadWithKeys", [*_READ_KEY, "kms:DescribeKey"], keys.data),
        statement("DelegateVolumeKeys", ["kms:CreateGrant"], [keys.data, keys.artefacts], condition=_for_aws_resources()),
        *_images(site, "workload", "toolkit"),
        statement("CopyImages", _PUSH, names.repository_arn("workload")),
        *_logs_and_metrics(site, "/aws/sagemaker/*", RELEASE_METRICS),
        *_network_interfaces(site),
        statement(
            "MakeReleases",
            [
                "sagemaker:AddTags",
                "sagemaker:CreateEndpointConfig",
                "sagemaker:CreateModel",
                "sagemaker:DeleteEndpointConfig",
                "sagemaker:DeleteModel",
            ],
            releases,
        ),
        # UpdateEndpoint is authorised on the endpoint and on the endpoint config, old or new.
        statement("ShiftTraffic", ["sagemaker:UpdateEndpoint"], _endpoint_parts(site)),
        statement("SeeRelease", [*_READ_ENDPOINT, "sagemaker:ListTags"], _endpoint_parts(site)),
        statement("ProbeEndpoint", ["sagemaker:InvokeEndpoint"], names.endpoint_arn),
        statement("ListReleases", ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"]),
        statement("RunAsServing", ["iam:PassRole"], names.role_arn("serving"), condition=PASSED_TO_SAGEMAKER),
        _register_candidates(site),
        # The stage of a release; an approval that does not count is taken back.
        statement(
            "MarkPackages",
            ["sagemaker:UpdateModelPackage"],
            names.model_package_arns,
            condition={"StringEqualsIfExists": {"sagemaker:ModelApprovalStatus": "Rejected"}, "Null": _unsigned()},
        ),
        statement(
            "SeeWhoAsked",
            ["sagemaker:DescribePipelineExecution"],
            [f"{names.pipeline_arn(kind)}/execution/*" for kind in get_args(PipelineKind)],
        ),
        statement("ReadRegistry", READ_PACKAGES, names.model_package_arns),
        statement(
            "WatchReleases",
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"],
            names.arn("cloudwatch", f"alarm:{names.release_prefix}*"),
        ),
        statement("SeeHealth", ["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics"]),
        statement("Journal", ["dynamodb:GetItem", "dynamodb:PutItem"], names.journal_arn),
        *_source(site),
    ]


def _source(site: Site) -> list[Statement]:
    """What the promotion role reads of the environment before this one; the other side's policies grant the same."""
    source = site.source
    if source is None:
        return []
    aliases = [source.key_alias("artefacts"), source.key_alias("ledger")]
    arns = {purpose: source.bucket_arn(purpose) for purpose in READABLE_PREFIXES}
    return [
        statement(
            "ReadSourceObjects",
            _READ_OBJECTS,
            [f"{arns[purpose]}/{prefix}/*" for purpose, prefixes in READABLE_PREFIXES.items() for prefix in prefixes],
        ),
        statement("SeeAbsentEvidence", ["s3:ListBucket"], arns["ledger"]),
        statement(
            "ReadWithSourceKeys",
            _READ_KEY,
            source.arn("kms", "key/*"),
            condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}},
        ),
        statement("PullSourceImages", READ_IMAGES, source.repository_arn("workload")),
        statement(
            "ReadSourceRegistry",
            READ_PACKAGES,
            source.model_package_arns,
        ),
    ]


def _pipelines(site: Site, keys: KeyArns) -> list[Statement]:
    names = site.names
    jobs = [names.arn("sagemaker", f"{kind}/*") for kind in ("processing-job", "training-job")]
    return [
        statement(
            "RunJobs",
            [
                "sagemaker:AddTags",
                "sagemaker:CreateProcessingJob",
                "sagemaker:CreateTrainingJob",
                "sagemaker:DescribeProcessingJob",
                "sagemaker:DescribeTrainingJob",
                "sagemaker:StopProcessingJob",
                "sagemaker:StopTrainingJob",
            ],
            jobs,
        ),
        statement("RunAsDuties", ["iam:PassRole"], [names.role_arn("jobs"), names.role_arn("promotion")], condition=PASSED_TO_SAGEMAKER),
        # Step results (property files) are read by the pipeline itself.
        _objects(site, "ReadResults", _READ_OBJECTS, "artefacts", "runs"),
        statement("ReadWithKey", _READ_KEY, keys.artefacts),
    ]


def _events(site: Site, keys: KeyArns) -> list[Statement]:
    return [statement("StartRelease", ["sagemaker:StartPipelineExecution"], site.names.pipeline_arn("release"))]


def _flow_logs(site: Site, keys: KeyArns) -> list[Statement]:
    group = site.names.arn("logs", f"log-group:{site.names.flow_log_group}")
    return [
        statement("WriteFlowLogs", ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], [group, f"{group}:*"]),
        # It knows no resources: allowed on anything less than all, it is not allowed.
        statement("FindFlowLogs", ["logs:DescribeLogGroups"]),
    ]


def _objects(site: Site, sid: str, actions: list[str], purpose: BucketPurpose, *prefixes: str) -> Statement:
    arn = site.names.bucket_arn(purpose)
    return statement(sid, actions, [f"{arn}/{prefix}/*" for prefix in prefixes] or f"{arn}/*")


def _buckets(site: Site, *purposes: BucketPurpose) -> Statement:
    return statement("SeeBuckets", ["s3:ListBucket"], [site.names.bucket_arn(purpose) for purpose in purposes])


def _images(site: Site, *purposes: str) -> list[Statement]:
    arns = {"workload": site.names.repository_arn("workload"), "toolkit": site.names.repository_arn("toolkit")}
    return [
        statement("LogInToRegistry", ["ecr:GetAuthorizationToken"]),
        statement("PullImages", _PULL, [arns[purpose] for purpose in purposes]),
    ]


def _logs_and_metrics(site: Site, groups: str, *namespaces: str) -> list[Statement]:
    allowed = ["/aws/sagemaker/*", "AWS/SageMaker", *namespaces]
    group = site.names.arn("logs", f"log-group:{groups}")
    return [
        statement(
            "WriteLogs",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [group, f"{group}:*"],
        ),
        statement("WriteMetrics", ["cloudwatch:PutMetricData"], condition={"StringLike": {"cloudwatch:namespace": allowed}}),
    ]


def _network_interfaces(site: Site) -> list[Statement]:
    return [
        statement("AttachToNetwork", _INTERFACES, site.names.arn("ec2", "*")),
        statement("SeeNetwork", _SEE_NETWORK),
    ]


def _register_candidates(site: Site) -> Statement:
    """Approved at birth only where nobody has to approve, and never in anybody's name."""
    approvals = ["PendingManualApproval"] if site.config.promotion.approval == "manual" else ["Approved", "PendingManualApproval"]
    condition: Condition = {"StringEqualsIfExists": {"sagemaker:ModelApprovalStatus": approvals}, "Null": _unsigned()}
    return statement("RegisterCandidates", ["sagemaker:CreateModelPackage"], _registry(site), condition=condition)


def _unsigned() -> dict[str, str]:
    return {f"sagemaker:CustomerMetadataProperties/{key}": "true" for key in SIGNATURES}


def _registry(site: Site) -> list[str]:
    return [site.names.model_package_group_arn, site.names.model_package_arns]


def _endpoint_parts(site: Site) -> list[str]:
    names = site.names
    owned = [names.bootstrap, f"{names.release_prefix}*"]
    return [names.endpoint_arn, *(names.arn("sagemaker", f"{kind}/{name}") for kind in ("endpoint-config", "model") for name in owned)]


def _for_aws_resources() -> dict[str, dict[str, str]]:
    """Grants that AWS services make on the caller's behalf, for volumes, and no others."""
    return {"Bool": {"kms:GrantIsForAWSResource": "true"}}
