"""sagemaker-runtime's InvokeEndpoint, on the dispatcher's fast path: routing, limits, errors, metrics, capture."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from local.cloud.accounts import credential_scope
from local.cloud.aws_errors import CloudError
from local.cloud.http import HttpRequest, HttpResponse
from local.cloud.iam.needs import Need
from local.cloud.iam.rights import check
from local.cloud.regions import check_region

from .capture import Exchange
from .instance import Broken, Instance, Reply, Unreachable
from .serving import Serving

if TYPE_CHECKING:
    from local.cloud.context import Cloud

MAXIMUM_BODY = 6_291_456
"""Bytes of a request's body [botocore: sagemaker-runtime BodyBlob]."""

ROUTE = re.compile(r"/endpoints/([^/]+)/invocations$")
_PASSED_ON = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon "
    "CloudWatch, resolve the issue, and try again."
)


class ModelFault(Exception):
    """The container did not answer 2xx."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Invoker:
    """Answers InvokeEndpoint for all endpoints of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __call__(self, request: HttpRequest, match: re.Match[str]) -> HttpResponse:
        try:
            if request.method != "POST":
                raise CloudError("UnknownOperationException", "Only POST is known here.", 404)
            scope = credential_scope(request.header("authorization"))
            if scope is None:
                raise CloudError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
            key, region, _ = scope
            check_region("sagemaker-runtime", region)
            caller = self._cloud.accounts.resolve(key)
            name = unquote(match.group(1))
            arn = f"arn:aws:sagemaker:{region}:{caller.account_id}:endpoint/{name}"
            check(self._cloud, "sagemaker-runtime", caller, region, Need("sagemaker:InvokeEndpoint", arn, caller.account_id))
            return self._invoke(caller.account_id, region, name, request)
        except CloudError as error:
            return _error(error.status, error.code, {"Message": error.message, "message": error.message})

    def _serving(self, account: str, region: str, name: str) -> Serving:
        from local.cloud.sagemaker.backend import backends

        serving: Serving | None = backends[account][region].servings.get(name)
        if serving is None or serving.record.status in ("Creating", "Failed", "Deleting"):
            raise CloudError("ValidationError", f"Endpoint {name} of account {account} not found.")
        return serving

    def _invoke(self, account: str, region: str, name: str, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        serving = self._serving(account, region, name)
        if len(request.body) > MAXIMUM_BODY:
            raise CloudError(
                "ValidationError",
                "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than "
                f"or equal to {MAXIMUM_BODY}",
            )
        for unsupported in ("target-model", "target-container-hostname", "inference-component"):
            if request.header(f"x-amzn-sagemaker-{unsupported}"):
                raise CloudError(
                    "ValidationError", f"The endpoint {name} does not support the header X-Amzn-SageMaker-{unsupported.title()}."
                )
        wanted = request.header("x-amzn-sagemaker-target-variant") or None
        variant = serving.table.choose(wanted)
        if variant is None:
            problem = (
                f"Variant {wanted} not found for Endpoint {name}."
                if wanted
                else f"Endpoint {name} has no variant with a weight above zero."
            )
            raise CloudError("ValidationError", problem)
        headers = {key: value for key in _PASSED_ON if (value := request.header(key))}
        instance, model_seconds, result = self._ask(serving, variant, request.body, headers)
        at = self._cloud.clock.time()
        status = result.status
        overhead = time.monotonic() - started - (model_seconds or 0.0)
        config = instance.config if instance else serving.record.config
        instances = len(serving.table.pools[variant].targets)
        serving.recorder.request(at, variant, config.name if serving.deployed else None, instances, status, model_seconds, overhead)
        if isinstance(result, ModelFault):
            return self._fault(serving, variant, instance, result)
        capture = config.capture
        if capture:
            kind = result.headers.get("content-type", "")
            identifier = request.header("x-amzn-sagemaker-inference-id") or None
            exchange = Exchange(at, request.header("content-type"), request.body, kind, result.body, identifier)
            serving.capture.record(variant, capture, exchange)
        answer = [
            ("Content-Type", result.headers.get("content-type", "application/octet-stream")),
            ("x-Amzn-Invoked-Production-Variant", variant),
        ]
        custom = result.headers.get("x-amzn-sagemaker-custom-attributes")
        if custom:
            answer.append(("X-Amzn-SageMaker-Custom-Attributes", custom))
        answer.append(("x-amzn-RequestId", str(uuid.uuid4())))
        return HttpResponse(200, answer, result.body)

    def _ask(
        self, serving: Serving, variant: str, body: bytes, headers: dict[str, str]
    ) -> tuple[Instance | None, float | None, Reply | ModelFault]:
        """Sends the request to one instance. One that could not be reached, or is leaving, hands over to the next: the request was not
        sent."""
        tried: list[Instance] = []
        while True:
            pool = serving.table.pools.get(variant)
            instance = pool.pick(tried) if pool else None
            if instance is None:
                return None, None, ModelFault(503, "No instance of the variant is available.")
            tried.append(instance)
            if not instance.acquire():
                continue
            start = time.monotonic()
            try:
                reply = instance.invoke(body, headers)
            except Unreachable:
                continue
            except Broken as error:
                timed_out = "timed out" in str(error)
                text = _TIMED_OUT if timed_out else "The connection to the container was closed before it answered."
                return instance, time.monotonic() - start, ModelFault(0, text)
            finally:
                instance.release()
            seconds = time.monotonic() - start
            if 200 <= reply.status < 300:
                return instance, seconds, reply
            return instance, seconds, ModelFault(reply.status, reply.body[:1024].decode("utf-8", "replace"))

    def _fault(self, serving: Serving, variant: str, instance: Instance | None, fault: ModelFault) -> HttpResponse:
        if instance is None:
            text = f"A serving instance of variant {variant} is not available. Try again."
            return _error(503, "ServiceUnavailable", {"Message": text, "message": text})
        group = f"/aws/sagemaker/Endpoints/{serving.record.name}"
        kind = "client" if 400 <= fault.status < 500 else "server"
        console = f"https://{serving.region}.console.aws.amazon.com/cloudwatch/home?region={serving.region}#logEventViewer:group={group}"
        text = (
            f'Received {kind} error ({fault.status}) from primary with message "{fault.text}". '
            f"See {console} in account {serving.account} for more information."
        )
        detail = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if kind == "client" else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{serving.region}:{serving.account}:log-group:{group}",
            "Message": text,
            "OriginalMessage": fault.text,
            "OriginalStatusCode": fault.status,
        }
        return _error(424, "ModelError", detail)


def _error(status: int, code: str, body: Mapping[str, object]) -> HttpResponse:
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", code), ("x-amzn-RequestId", str(uuid.uuid4()))]
    return HttpResponse(status, headers, json.dumps(body).encode())
