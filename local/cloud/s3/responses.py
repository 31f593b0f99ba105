"""Requests to S3: moto's, less its own reading of bucket policies, which knows no conditions; conditional writes are atomic."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import InvalidBucketState, MissingBucket, S3ClientError
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response as MotoS3Response

from local.cloud.iam.decisions import parse
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate

_LOCKS = tuple(threading.RLock() for _ in range(64))


class Bucket(FakeBucket):
    """A bucket whose policy has been applied before a request reaches it (`local.cloud.s3.access`)."""

    def get_permission(self, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL

    def default_retention(self) -> str:
        """Until when an object that is put now is kept."""
        days = (self.default_lock_days or 0) + 365 * (self.default_lock_years or 0)
        return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _log_permissions_enabled_policy(self, target_bucket: FakeBucket, target_prefix: str | None) -> bool:
        """Whether the target's policy lets the logging service write this bucket's logs."""
        document = parse(target_bucket.policy)
        if document is None:
            return False
        principal = Principal(service="logging.s3.amazonaws.com")
        resource = f"arn:aws:s3:::{target_bucket.name}/{target_prefix or ''}log"
        source = {"aws:sourcearn": f"arn:aws:s3:::{self.name}", "aws:sourceaccount": self.account_id, "aws:securetransport": "true"}
        question = Question(principal, "s3:PutObject", resource, {**principal.context(), **source})
        return evaluate([document], question) is Verdict.ALLOW


class S3Response(MotoS3Response):
    """One request to S3."""

    def _bucket_response_put(self, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        if "object-lock" in querystring:
            return self._put_object_lock(bucket_name, self._process_lock_config_from_body())
        if "policy" in querystring:
            _check_policy(self.body)
        answer = super()._bucket_response_put(request, bucket_name, querystring)
        _adopt(bucket_name)
        return answer

    def _put_object_lock(self, bucket_name: str, wanted: dict[str, Any]) -> Any:
        """Object lock and its default retention can be set on any versioned bucket, full or empty; it can't be switched off."""
        bucket = self.backend.get_bucket(bucket_name)
        if not bucket.is_versioned:
            raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
        bucket.object_lock_enabled = True
        bucket.default_lock_mode = wanted.get("mode")
        bucket.default_lock_days = wanted.get("days") or None
        bucket.default_lock_years = wanted.get("years") or None
        return 200, {}, ""

    def _key_response_put(self, query: dict[str, Any], key_name: str) -> Any:
        with _lock(self.bucket_name, key_name):
            return super()._key_response_put(query, key_name)

    def _key_response_post(self, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str) -> Any:
        with _lock(bucket_name, key_name):
            return super()._key_response_post(request, body, bucket_name, query, key_name)


def _check_policy(body: bytes | str) -> None:
    """Refuse what is no policy document; a policy that could not be read would let nobody in and keep nobody out."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise S3ClientError("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
    if not document.get("Statement"):
        raise S3ClientError("MalformedPolicy", "Missing required field Statement")


def _lock(bucket: str, key: str) -> threading.RLock:
    """If-None-Match and If-Match look, then write: two writers of one key take turns."""
    return _LOCKS[hash((bucket, key)) % len(_LOCKS)]


def _adopt(name: str) -> None:
    """moto's backend makes its own kind of bucket and can't be told another."""
    place = s3_backends.bucket_accounts.get(name)
    if place is None:
        return
    partition, account = place
    try:
        bucket = s3_backends[account][partition].get_bucket(name)
    except MissingBucket:
        return
    if type(bucket) is FakeBucket:
        bucket.__class__ = Bucket
