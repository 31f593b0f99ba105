"""Buckets, each with every control that a bucket has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pulumi
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_logging import BucketLogging
from pulumi_aws.s3.bucket_object_lock_configuration import BucketObjectLockConfiguration
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning

from infra import grants, outputs
from infra.components.keys import Keys
from infra.naming import BucketPurpose, KeyPurpose
from infra.site import Site

# S3 delivers access logs to buckets under its own key alone, so `logs` has no customer key.
_KEY_OF: dict[BucketPurpose, KeyPurpose | None] = {
    "data": "data",
    "artefacts": "artefacts",
    "capture": "data",
    "ledger": "ledger",
    "logs": None,
}
_ABORT_UPLOADS_AFTER_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class BucketsArgs:
    site: Site
    keys: Keys


class Buckets(pulumi.ComponentResource):
    """Data, artefacts, captured requests, the ledger under object lock, and access logs of the other four.

    Each is private, owner-enforced (no ACLs), versioned, encrypted, tidied by lifecycle rules and refuses calls
    without TLS. `force_destroy` follows `disposable`: a bucket of an environment that is not disposable can't be
    destroyed while it holds anything.

    Attributes:
        named: the bucket's name by purpose, an output that waits for the bucket to be ready for use (encrypted,
            versioned and, for the ledger, locked).
    """

    def __init__(self, name: str, args: BucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Buckets", name, None, opts)
        self._site, self._keys, self._name = args.site, args.keys, name
        self._child = pulumi.ResourceOptions(parent=self)
        buckets = {purpose: self._bucket(purpose) for purpose in get_args(BucketPurpose)}
        policies = {purpose: self._privacy(purpose, bucket) for purpose, bucket in buckets.items()}
        self.named: dict[BucketPurpose, pulumi.Output[str]] = {}
        for purpose, bucket in buckets.items():
            ready = self._keeping(purpose, bucket)
            if purpose != "logs":
                self._access_logs(purpose, bucket, buckets["logs"], policies["logs"])
            self.named[purpose] = pulumi.Output.all(bucket.bucket, *(each.id for each in ready)).apply(lambda values: str(values[0]))
        self.outputs = outputs.Buckets(
            **{
                purpose: outputs.Bucket(name=self._site.names.bucket(purpose), arn=self._site.names.bucket_arn(purpose))
                for purpose in get_args(BucketPurpose)
            }
        )
        self.register_outputs({str(purpose): bucket for purpose, bucket in self.named.items()})

    def _bucket(self, purpose: BucketPurpose) -> Bucket:
        return Bucket(
            f"{self._name}-{purpose}",
            bucket=self._site.names.bucket(purpose),
            force_destroy=self._site.config.disposable,
            object_lock_enabled=purpose == "ledger",
            opts=self._child,
        )

    def _privacy(self, purpose: BucketPurpose, bucket: Bucket) -> BucketPolicy:
        """Who may use it."""
        prefix = f"{self._name}-{purpose}"
        BucketOwnershipControls(
            f"{prefix}-ownership", bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=self._child
        )
        block = BucketPublicAccessBlock(
            f"{prefix}-private",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        # A policy that is put while public access is being blocked can fail with a conflict.
        return BucketPolicy(
            f"{prefix}-policy",
            bucket=bucket.bucket,
            policy=grants.bucket_policy(self._site, purpose),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )

    def _keeping(self, purpose: BucketPurpose, bucket: Bucket) -> list[pulumi.CustomResource]:
        """How it keeps objects; returns what must stand before the bucket is used."""
        prefix = f"{self._name}-{purpose}"
        versioning = BucketVersioning(
            f"{prefix}-versions", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=self._child
        )
        encryption = BucketServerSideEncryptionConfiguration(
            f"{prefix}-encryption", bucket=bucket.bucket, rules=[self._encryption(purpose)], opts=self._child
        )
        after_versioning = pulumi.ResourceOptions(parent=self, depends_on=[versioning])
        BucketLifecycleConfiguration(f"{prefix}-lifecycle", bucket=bucket.bucket, rules=self._lifecycle(purpose), opts=after_versioning)
        ready: list[pulumi.CustomResource] = [versioning, encryption]
        if purpose == "ledger":
            promotion = self._site.config.promotion
            ready.append(
                BucketObjectLockConfiguration(
                    f"{prefix}-lock",
                    bucket=bucket.bucket,
                    rule={"default_retention": {"mode": promotion.ledger_mode, "days": promotion.ledger_retention_days}},
                    opts=after_versioning,
                )
            )
        return ready

    def _access_logs(self, purpose: BucketPurpose, bucket: Bucket, logs: Bucket, logs_policy: BucketPolicy) -> None:
        # Before the policy lets S3 write there, logging is refused or its first files are lost.
        BucketLogging(
            f"{self._name}-{purpose}-logging",
            bucket=bucket.bucket,
            target_bucket=logs.bucket,
            target_prefix=f"access/{purpose}/",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs_policy]),
        )

    def _encryption(self, purpose: BucketPurpose) -> Any:
        key = _KEY_OF[purpose]
        if key is None:
            return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}, "bucket_key_enabled": False}
        default = {"sse_algorithm": "aws:kms", "kms_master_key_id": self._keys.arns[key]}
        return {"apply_server_side_encryption_by_default": default, "bucket_key_enabled": True}

    def _lifecycle(self, purpose: BucketPurpose) -> Any:
        retention = self._site.config.retention
        tidy = {
            "id": "tidy",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": _ABORT_UPLOADS_AFTER_DAYS},
            "noncurrent_version_expiration": {"noncurrent_days": retention.superseded_objects},
        }
        expires = {"capture": retention.capture, "logs": retention.logs}.get(purpose)
        if expires is None:
            return [tidy]
        expire = {"id": "expire", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": expires}}
        return [tidy, expire]
