"""The only place where a promotion calls AWS.

It runs in a network without a way out, so it can call only what that has an endpoint for: not IAM, for one, whose endpoint exists in a
single region. That the role of a model exists and can be assumed is checked by CreateModel.

Each method is one call, or the pages of one. Before each call that changes something the seam asks `before`, which journals the intent and
refuses when another run has taken over. Time is the service's: the Date header of its answers, since this machine's clock may be wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

Answer = dict[str, Any]

_PATIENT = Config(connect_timeout=10, read_timeout=70, retries={"mode": "standard", "max_attempts": 5})
_ONCE = Config(connect_timeout=10, read_timeout=70, retries={"mode": "standard", "max_attempts": 1})
_CHUNK = 1 << 20
_ASKED_AT_MOST = 3
_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
"""What AWS's SDKs take for throttling (botocore's standard retry mode), besides answers of the class 5XX."""


class VersionConflict(Exception):
    """An item was written by somebody else since it was read."""


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def text(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def _absent(error: ClientError) -> bool:
    return code(error) in {"NoSuchKey", "404", "ResourceNotFound", "ResourceNotFoundException", "NoSuchEntity", "NotFoundException"} or (
        code(error) == "ValidationException" and ("Could not find" in text(error) or "does not exist" in text(error))
    )


def already_exists(error: ClientError) -> bool:
    return code(error) in {"ResourceInUse", "ResourceInUseException"} or "already exist" in text(error)


def passing(error: Exception) -> bool:
    """An error that says nothing about the request: it may have been heard or not, and asked again later it may be answered."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or code(error) in _THROTTLED
    return isinstance(error, ConnectionError | HTTPClientError)


def in_progress(error: ClientError) -> bool:
    """An update was refused because one is under way already: ours, if an answer was lost, or somebody else's."""
    return "in-progress" in text(error)


def was_asked_once(error: ClientError) -> bool:
    """The SDK did not ask again after a lost answer, so the refusal is of the first request, and that one was not heard."""
    return not error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)


class Aws:
    """AWS as one environment's promotion role sees it."""

    def __init__(self, session: boto3.Session, *, table: str) -> None:
        self._session = session
        self._table = table
        self._clients: dict[str, Any] = {}
        self._now = 0.0
        self.before: Callable[[str, str], None] = lambda call, on: None

    def _client(self, service: str, config: Config = _PATIENT) -> Any:
        if service not in self._clients:
            client = self._session.client(service, config=config)  # type: ignore[call-overload]
            client.meta.events.register("after-call", self._read_time)
            self._clients[service] = client
        return self._clients[service]

    def _read_time(self, http_response: Any, **_: Any) -> None:
        stated = http_response.headers.get("Date")
        if stated:
            self._now = max(self._now, parsedate_to_datetime(stated).timestamp())

    @property
    def now(self) -> float:
        """The service's time at its latest answer, epoch seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    # -- journal -------------------------------------------------------------------------------------------------

    def read_item(self, key: str) -> Answer | None:
        """An item of the journal: its body and the version it is at."""
        item = self._client("dynamodb").get_item(TableName=self._table, Key={"promotion_id": {"S": key}}, ConsistentRead=True).get("Item")
        if item is None:
            return None
        writer = item.get("writer", {}).get("S", "")
        return {"version": int(item["version"]["N"]), "writer": writer, "body": json.loads(item["body"]["S"])}

    def write_item(self, key: str, body: Answer, *, expected: int, writer: str) -> int:
        """Write an item if it still is at version `expected` (0: does not exist yet); returns the new version.

        Args:
            writer: names this process. What it wrote last it may overwrite at any version: that is its own write whose answer was lost.

        Raises:
            VersionConflict: somebody else has written it.
        """
        while not self._put_item(key, body, expected=expected, writer=writer):
            found = self.read_item(key)
            if found is None or found["writer"] != writer or found["version"] == expected:
                raise VersionConflict(key)
            expected = found["version"]
        return expected + 1

    def _put_item(self, key: str, body: Answer, *, expected: int, writer: str) -> bool:
        """False if the item is at another version."""
        condition: Answer = {"ConditionExpression": "attribute_not_exists(promotion_id)"}
        if expected:
            condition = {"ConditionExpression": "version = :v", "ExpressionAttributeValues": {":v": {"N": str(expected)}}}
        item = {
            "promotion_id": {"S": key},
            "version": {"N": str(expected + 1)},
            "writer": {"S": writer},
            "body": {"S": json.dumps(body, sort_keys=True)},
        }
        try:
            self._client("dynamodb").put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    # -- endpoint ------------------------------------------------------------------------------------------------

    def endpoint(self, name: str) -> Answer | None:
        return self._found("sagemaker", "describe_endpoint", EndpointName=name)

    def update_endpoint(self, name: str, *, config: str, deployment: Answer, retain: bool) -> None:
        self.before("UpdateEndpoint", f"{name} -> {config}")
        self._client("sagemaker").update_endpoint(
            EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment, RetainAllVariantProperties=retain
        )

    def model(self, name: str) -> Answer | None:
        return self._found("sagemaker", "describe_model", ModelName=name)

    def create_model(self, request: Answer, tags: list[dict[str, str]]) -> None:
        self.before("CreateModel", request["ModelName"])
        self._client("sagemaker").create_model(**request, Tags=tags)

    def delete_model(self, name: str) -> None:
        self.before("DeleteModel", name)
        self._unless_absent("sagemaker", "delete_model", ModelName=name)

    def models(self, prefix: str) -> list[str]:
        return self._names("list_models", "Models", "ModelName", prefix)

    def endpoint_config(self, name: str) -> Answer | None:
        return self._found("sagemaker", "describe_endpoint_config", EndpointConfigName=name)

    def create_endpoint_config(self, request: Answer, tags: list[dict[str, str]]) -> None:
        self.before("CreateEndpointConfig", request["EndpointConfigName"])
        self._client("sagemaker").create_endpoint_config(**request, Tags=tags)

    def delete_endpoint_config(self, name: str) -> None:
        self.before("DeleteEndpointConfig", name)
        self._unless_absent("sagemaker", "delete_endpoint_config", EndpointConfigName=name)

    def endpoint_configs(self, prefix: str) -> list[str]:
        return self._names("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", prefix)

    def invoke(self, endpoint: str, *, body: str, content_type: str) -> Answer:
        """One request to the endpoint: {"ok", "status", "body"}. A lost answer is asked for again. What the model was not asked, or did not
        get to answer, has no status: no answer came, or the service in front of it throttled the request or failed itself."""
        client = self._client("sagemaker-runtime", _ONCE)
        lost = ""
        for _ in range(_ASKED_AT_MOST):
            try:
                answer = client.invoke_endpoint(EndpointName=endpoint, Body=body.encode(), ContentType=content_type)
                return {"ok": True, "status": 200, "body": answer["Body"].read().decode(errors="replace")}
            except ClientError as error:
                status = error.response.get("OriginalStatusCode")
                if not status and not passing(error):
                    status = error.response["ResponseMetadata"].get("HTTPStatusCode")
                return {"ok": False, "status": status or None, "body": f"{code(error)}: {text(error)}"}
            except BotoCoreError as error:
                if not passing(error):
                    raise
                lost = f"{type(error).__name__}: {error}"
        return {"ok": False, "status": None, "body": lost}

    # -- alarms and metrics --------------------------------------------------------------------------------------

    def alarms(self, names: Iterable[str]) -> dict[str, Answer]:
        wanted = list(names)
        if not wanted:
            return {}
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found = self._client("cloudwatch").describe_alarms(AlarmNames=wanted, AlarmTypes=kinds, MaxRecords=100)
        both = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
        return {alarm["AlarmName"]: alarm for alarm in both}

    def alarm_names(self, prefix: str) -> list[str]:
        pages = self._client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        return [alarm["AlarmName"] for page in pages for alarm in page.get("MetricAlarms", [])]

    def put_alarm(self, request: Answer, tags: list[dict[str, str]]) -> None:
        self.before("PutMetricAlarm", request["AlarmName"])
        self._client("cloudwatch").put_metric_alarm(**request, Tags=tags)

    def delete_alarms(self, names: list[str]) -> None:
        self.before("DeleteAlarms", ", ".join(names))
        self._unless_absent("cloudwatch", "delete_alarms", AlarmNames=names)

    def put_metric(self, namespace: str, metric: str, dimensions: dict[str, str], value: float) -> None:
        self.before("PutMetricData", f"{metric} {dimensions}")
        data = {"MetricName": metric, "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()], "Value": value}
        self._client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])

    def metric_sum(self, namespace: str, metric: str, dimensions: dict[str, str], *, start: float, end: float) -> float:
        """Sum of a metric between two service times, widened to whole minutes. One answer holds 1,440 points at most."""
        period = 60 * max(1, math.ceil((end - start + 120) / 60 / 1440))
        answer = self._client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()],
            StartTime=datetime.fromtimestamp(start // 60 * 60, UTC),
            EndTime=datetime.fromtimestamp(end // 60 * 60 + 60, UTC),
            Period=period,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer.get("Datapoints", [])))

    # -- registry ------------------------------------------------------------------------------------------------

    def package(self, arn: str) -> Answer | None:
        return self._found("sagemaker", "describe_model_package", ModelPackageName=arn)

    def execution(self, arn: str) -> Answer | None:
        """A pipeline's run; None if there is none by that name, or the name is none of a run."""
        return self._found("sagemaker", "describe_pipeline_execution", PipelineExecutionArn=arn) if ":pipeline/" in arn else None

    def void_approval(self, arn: str, description: str) -> None:
        self.before("UpdateModelPackage", arn)
        self._client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription=description[:1024]
        )

    def set_package_stage(self, arn: str, *, stage: str, status: str, description: str) -> None:
        self.before("UpdateModelPackage", arn)
        life_cycle = {"Stage": stage, "StageStatus": status, "StageDescription": description[:1024]}
        self._client("sagemaker").update_model_package(ModelPackageArn=arn, ModelLifeCycle=life_cycle)

    # -- objects -------------------------------------------------------------------------------------------------

    def read_object(self, bucket: str, key: str) -> bytes | None:
        answer = self._found("s3", "get_object", Bucket=bucket, Key=key)
        return None if answer is None else bytes(answer["Body"].read())

    def object_sha256(self, bucket: str, key: str, heartbeat: Callable[[], None]) -> str | None:
        """Digest of an object's bytes as they are now; `heartbeat` is called while they stream."""
        answer = self._found("s3", "get_object", Bucket=bucket, Key=key)
        if answer is None:
            return None
        digest = hashlib.sha256()
        for chunk in answer["Body"].iter_chunks(_CHUNK):
            digest.update(chunk)
            heartbeat()
        return digest.hexdigest()

    def write_object_once(self, bucket: str, key: str, body: bytes) -> bool:
        """Write an object unless there is one by that key; False if there was."""
        self.before("PutObject", f"s3://{bucket}/{key}")
        try:
            self._client("s3").put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", ContentType="application/json")
        except ClientError as error:
            if code(error) in {"PreconditionFailed", "ConditionalRequestConflict"}:
                return False
            raise
        return True

    def keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self._client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def newest_keys(self, bucket: str, prefix: str, count: int) -> list[str]:
        """Keys of the objects written last, newest first."""
        pages = self._client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        entries = sorted(((entry["LastModified"], entry["Key"]) for page in pages for entry in page.get("Contents", [])), reverse=True)
        return [key for _, key in entries[:count]]

    def has_object_lock(self, bucket: str) -> bool:
        try:
            answer = self._client("s3").get_object_lock_configuration(Bucket=bucket)
        except ClientError as error:
            if code(error) == "ObjectLockConfigurationNotFoundError":
                return False
            raise
        return bool(answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")

    # -- the rest of what a release depends on --------------------------------------------------------------------

    def image(self, *, repository: str, digest: str, registry: str) -> Answer | None:
        """{"manifest": text, "media_type", "tags": [...]} of the image with that digest, or None."""
        answer = self._client("ecr").batch_get_image(registryId=registry, repositoryName=repository, imageIds=[{"imageDigest": digest}])
        images = answer.get("images", [])
        if not images:
            return None
        tags = sorted({image["imageId"]["imageTag"] for image in images if image["imageId"].get("imageTag")})
        return {"manifest": images[0]["imageManifest"], "media_type": images[0].get("imageManifestMediaType", ""), "tags": tags}

    def layer(self, *, repository: str, digest: str, registry: str) -> str:
        """URL from which a layer's bytes can be read for a while."""
        answer = self._client("ecr").get_download_url_for_layer(registryId=registry, repositoryName=repository, layerDigest=digest)
        return str(answer["downloadUrl"])

    def key_state(self, arn: str) -> str | None:
        answer = self._found("kms", "describe_key", KeyId=arn)
        return None if answer is None else str(answer["KeyMetadata"]["KeyState"])

    def identity(self) -> Answer:
        return dict(self._client("sts").get_caller_identity())

    # ------------------------------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        """A client for what has no method here (copying an image); its answers tell the time as well."""
        return self._client(service)

    def _found(self, service: str, operation: str, **request: Any) -> Answer | None:
        try:
            return dict(getattr(self._client(service), operation)(**request))
        except ClientError as error:
            if _absent(error):
                return None
            raise

    def _unless_absent(self, service: str, operation: str, **request: Any) -> None:
        self._found(service, operation, **request)

    def _names(self, operation: str, field: str, name: str, prefix: str) -> list[str]:
        # NameContains matches anywhere in a name, so what it finds is filtered again.
        pages = self._client("sagemaker").get_paginator(operation).paginate(NameContains=prefix)
        return sorted(entry[name] for page in pages for entry in page[field] if entry[name].startswith(prefix))
