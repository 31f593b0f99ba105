"""Objects in buckets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from local.provider.api import Api
from local.provider.errors import ProviderError
from local.provider.resource import Call, Properties, ResourceType, Tags
from local.provider.resources.s3 import NO_BUCKET, delete_versions
from local.provider.wire import Asset

_CONTENT = ("source", "content", "contentBase64")
_HEADERS = {
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
    "websiteRedirect": "WebsiteRedirectLocation",
    "bucketKeyEnabled": "BucketKeyEnabled",
    "objectLockLegalHoldStatus": "ObjectLockLegalHoldStatus",
    "objectLockMode": "ObjectLockMode",
    "kmsKeyId": "SSEKMSKeyId",
}
# What a new version of the object says of itself.
_OF_A_VERSION = {"etag", "versionId", "checksumCrc32", "checksumCrc32c", "checksumSha1", "checksumSha256"}


def _body(inputs: Mapping[str, Any]) -> bytes:
    source = inputs.get("source")
    if isinstance(source, Asset):
        return source.read()
    if inputs.get("content") is not None:
        return str(inputs["content"]).encode()
    if inputs.get("contentBase64") is not None:
        return base64.b64decode(inputs["contentBase64"])
    return b""


def _put(api: Api, inputs: Properties) -> str:
    params: dict[str, Any] = {
        member: inputs[name] for name, member in _HEADERS.items() if name in inputs and inputs[name] not in (None, "")
    }
    if params.get("SSEKMSKeyId"):
        params.setdefault("ServerSideEncryption", "aws:kms")
    if inputs.get("tagsAll"):
        params["Tagging"] = urlencode(sorted(inputs["tagsAll"].items()))
    api.call("s3", "PutObject", Bucket=inputs["bucket"], Key=inputs["key"], Body=_body(inputs), **params)
    return str(inputs["key"])


def _read(api: Api, identity: str, known: Properties) -> Properties | None:
    bucket, key = known.get("bucket"), known.get("key", identity)
    if bucket is None:  # an import names both
        bucket, _, key = identity.removeprefix("s3://").partition("/")
    head = api.try_call("s3", "HeadObject", (*NO_BUCKET, "NoSuchKey"), Bucket=bucket, Key=key)
    if head is None:
        return None
    found: Properties = {
        "bucket": bucket,
        "key": key,
        "arn": f"arn:{api.partition}:s3:::{bucket}/{key}",
        "etag": str(head.get("ETag", "")).strip('"'),
        "versionId": head.get("VersionId"),
        "contentType": head.get("ContentType"),
        "metadata": head.get("Metadata") or {},
        "serverSideEncryption": head.get("ServerSideEncryption"),
        "storageClass": head.get("StorageClass", "STANDARD"),
        "bucketKeyEnabled": bool(head.get("BucketKeyEnabled")),
        "cacheControl": head.get("CacheControl"),
        "contentDisposition": head.get("ContentDisposition"),
        "contentEncoding": head.get("ContentEncoding"),
        "contentLanguage": head.get("ContentLanguage"),
        "websiteRedirect": head.get("WebsiteRedirectLocation"),
        "kmsKeyId": head.get("SSEKMSKeyId"),
        "objectLockMode": head.get("ObjectLockMode"),
        "objectLockLegalHoldStatus": head.get("ObjectLockLegalHoldStatus"),
    }
    tagged = api.call("s3", "GetObjectTagging", Bucket=bucket, Key=key) if head.get("TagCount") or known.get("tagsAll") else {}
    found["tagsAll"] = {t["Key"]: t["Value"] for t in tagged.get("TagSet", [])}
    return found


def _check(inputs: Properties, problems: Any) -> None:
    given = [name for name in _CONTENT if inputs.get(name) is not None]
    if len(given) > 1:
        problems.add(given[1], f"conflicts with {given[0]}")
    if isinstance(inputs.get("contentBase64"), str):
        try:
            base64.b64decode(inputs["contentBase64"], validate=True)
        except ValueError:
            problems.add("contentBase64", "is not base64")


def _update(api: Api, identity: str, old: Properties, new: Properties, changed: set[str]) -> None:
    if changed - {"tags", "tagsAll", "forceDestroy"}:
        _put(api, new)


def _delete(api: Api, identity: str, state: Properties) -> None:
    bucket, key = state.get("bucket"), state.get("key", identity)
    if not bucket:
        raise ProviderError("the state does not say in which bucket the object is")
    if state.get("versionId") and state["versionId"] != "null":
        delete_versions(api, bucket, key, only=key, bypass=bool(state.get("forceDestroy")))
    else:
        api.call("s3", "DeleteObject", Bucket=bucket, Key=key)


def _put_tags(api: Api, identity: str, values: Properties, tags: Mapping[str, str]) -> None:
    pairs = [{"Key": k, "Value": v} for k, v in sorted(tags.items())]
    api.call("s3", "PutObjectTagging", Bucket=values["bucket"], Key=values["key"], Tagging={"TagSet": pairs})


OBJECT = ResourceType(
    token="aws:s3/bucketObjectv2:BucketObjectv2",
    service="s3",
    create=Call(
        "PutObject",
        {"SSEKMSKeyId": "$kmsKeyId", "WebsiteRedirectLocation": "$websiteRedirect"},
        fields=("bucket", "key", *(n for n in _HEADERS if n not in ("kmsKeyId", "websiteRedirect"))),
    ),
    identity="{key}",
    delete=Call("DeleteObject", {"Bucket": "$bucket", "Key": "$key"}),
    absent=(*NO_BUCKET, "NoSuchKey"),
    replace=("bucket", "key"),
    defaults={"forceDestroy": False},
    computed=("contentType", "serverSideEncryption", "storageClass", "bucketKeyEnabled", "kmsKeyId", "etag"),
    local=(*_CONTENT, "forceDestroy", "sourceHash"),
    tags=Tags(create="Tagging", read="", put=_put_tags),
    check=_check,
    on_create=_put,
    on_read=_read,
    on_update=_update,
    on_delete=_delete,
    unknown_after=lambda changed: _OF_A_VERSION if changed - {"tags", "tagsAll", "forceDestroy"} else set(),
)

TYPES = (OBJECT,)
