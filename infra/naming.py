"""Physical names and ARNs, of this environment or of another: a function of the stack file, never of deployed state.

Physical names carry the environment; logical names (Pulumi's) never do. So a name here can be computed for a
neighbour before it exists, and a role's ARN can stand in a policy that is written before the role.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from infra.config import Stack

PROJECT = "lockstep"
VARIANT = "main"

BucketPurpose = Literal["data", "artefacts", "capture", "ledger", "logs"]
KeyPurpose = Literal["data", "artefacts", "ledger", "operations"]
Duty = Literal["jobs", "serving", "promotion", "pipelines", "events", "flow-logs"]
RepositoryPurpose = Literal["workload", "toolkit"]
PipelineKind = Literal["training", "admit", "release"]

_HASH_LENGTH = 8


def physical_name(*parts: str, limit: int) -> str:
    """Joins parts with hyphens; a name above the limit is cut, and ends in a hash of the whole, so that two never meet.

    Args:
        parts: from the general to the particular; project and environment first.
        limit: the most characters that the service takes, at least 16.

    Returns:
        A name of at most `limit` characters that neither starts nor ends with a hyphen.
    """
    if limit < 2 * _HASH_LENGTH:
        raise ValueError(f"a limit of {limit} leaves no room for a hash")
    whole = "-".join(part for part in parts if part)
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{whole[: limit - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def partition_of(region: str) -> str:
    """The partition that a region belongs to, the second part of each ARN in it. `infra.config` lets in no others than these two."""
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


@dataclass(frozen=True, kw_only=True)
class Names:
    """All names of one environment. Limits are those of the service that each name goes to."""

    environment: str
    account_id: str
    region: str
    workload: str

    @classmethod
    def of(cls, stack: Stack) -> Names:
        """The names of the environment that a stack file describes."""
        config = stack.config
        return cls(environment=stack.name, account_id=config.account_id, region=config.region, workload=config.workload)

    @property
    def partition(self) -> str:
        return partition_of(self.region)

    def _name(self, *parts: str, limit: int = 63) -> str:
        return physical_name(PROJECT, self.environment, *parts, limit=limit)

    def arn(self, service: str, resource: str, *, region: str | None = None, account_id: str | None = None) -> str:
        """An ARN in this environment. Pass an empty region or account id where the service's ARNs have none."""
        where = self.region if region is None else region
        whose = self.account_id if account_id is None else account_id
        return f"arn:{self.partition}:{service}:{where}:{whose}:{resource}"

    def bucket(self, purpose: BucketPurpose) -> str:
        """Bucket names are global: the account id makes them nobody else's."""
        return physical_name(PROJECT, self.environment, purpose, self.account_id, limit=63)

    def bucket_arn(self, purpose: BucketPurpose) -> str:
        return self.arn("s3", self.bucket(purpose), region="", account_id="")

    def key_alias(self, purpose: KeyPurpose) -> str:
        return f"alias/{self._name(purpose, limit=250)}"

    def role(self, duty: Duty) -> str:
        return self._name(duty, limit=64)

    def role_arn(self, duty: Duty) -> str:
        return self.arn("iam", f"role/{self.role(duty)}", region="")

    @property
    def boundary(self) -> str:
        return self._name("boundary", limit=128)

    @property
    def boundary_arn(self) -> str:
        return self.arn("iam", f"policy/{self.boundary}", region="")

    def repository(self, purpose: RepositoryPurpose) -> str:
        return self._name(purpose, limit=256)

    def repository_arn(self, purpose: RepositoryPurpose) -> str:
        return self.arn("ecr", f"repository/{self.repository(purpose)}")

    def repository_uri(self, purpose: RepositoryPurpose) -> str:
        return f"{self.account_id}.dkr.ecr.{self.region}.amazonaws.com/{self.repository(purpose)}"

    @property
    def model_package_group(self) -> str:
        return self._name(self.workload)

    @property
    def model_package_group_arn(self) -> str:
        return self.arn("sagemaker", f"model-package-group/{self.model_package_group}")

    @property
    def model_package_arns(self) -> str:
        """A pattern that the ARNs of all versions in the group match."""
        return self.arn("sagemaker", f"model-package/{self.model_package_group}/*")

    @property
    def feature_group(self) -> str:
        return self._name(self.workload, "features", limit=64)

    @property
    def endpoint(self) -> str:
        return self._name(self.workload)

    @property
    def endpoint_arn(self) -> str:
        return self.arn("sagemaker", f"endpoint/{self.endpoint}")

    @property
    def bootstrap(self) -> str:
        """Of the bootstrap model and of its endpoint config."""
        return self._name(self.workload, "bootstrap")

    @property
    def release_prefix(self) -> str:
        """Starts the name of each model, endpoint config and alarm that a release makes; short, to leave room for a digest."""
        return self._name("release", limit=32)

    def pipeline(self, kind: PipelineKind) -> str:
        return self._name(self.workload, kind, limit=256)

    def pipeline_arn(self, kind: PipelineKind) -> str:
        return self.arn("sagemaker", f"pipeline/{self.pipeline(kind).lower()}")

    @property
    def journal(self) -> str:
        return self._name("promotions", limit=255)

    @property
    def journal_arn(self) -> str:
        return self.arn("dynamodb", f"table/{self.journal}")

    @property
    def topic(self) -> str:
        return self._name("operations", limit=256)

    @property
    def topic_arn(self) -> str:
        return self.arn("sns", self.topic)

    @property
    def approval_rule(self) -> str:
        return self._name("approved", limit=64)

    def alarm(self, what: str) -> str:
        return self._name(self.workload, what, limit=255)

    def security_group(self, what: str) -> str:
        return self._name(what, limit=255)

    def resource(self, what: str) -> str:
        """The `Name` tag of what has no name of its own (a VPC, a subnet)."""
        return self._name(what, limit=256)

    @property
    def flow_log_group(self) -> str:
        return f"/{PROJECT}/{self.environment}/flow-logs"

    @property
    def endpoint_log_group(self) -> str:
        """SageMaker's name for the logs of an endpoint."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"
