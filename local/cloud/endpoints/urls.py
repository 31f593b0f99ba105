"""The rest of sagemaker-runtime: InvokeEndpoint itself is on the dispatcher's fast path."""

from __future__ import annotations

from typing import Any

from local.cloud.aws_errors import not_implemented

url_bases = [r"https?://runtime\.sagemaker\.(.+)\.amazonaws\.com"]


def invoke_async(request: Any, full_url: str, headers: Any) -> Any:
    raise not_implemented("sagemaker-runtime", "InvokeEndpointAsync")


def invoke_stream(request: Any, full_url: str, headers: Any) -> Any:
    raise not_implemented("sagemaker-runtime", "InvokeEndpointWithResponseStream")


url_paths = {
    "{0}/endpoints/(?P<name>[^/]+)/async-invocations$": invoke_async,
    "{0}/endpoints/(?P<name>[^/]+)/invocations-response-stream$": invoke_stream,
}
