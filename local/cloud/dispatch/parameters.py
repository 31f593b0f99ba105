"""The parameters of a call by the names of their members, whatever protocol carried them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import determine_request_protocol
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model

from local.cloud.dispatch.call import Call


def parameters(call: Call) -> dict[str, Any]:
    """What a call asks with. Of S3, whose bodies are data, only bucket and key; nothing where the request can't be read."""
    if call.service == "s3":
        bucket, _, key = call.path.removeprefix("/").partition("/")
        return {"Bucket": bucket, "Key": key} if key else {"Bucket": bucket}
    if call.http.header("x-amz-target"):
        return call.json
    if call.service == "cloudwatch":
        return _cloudwatch(call)
    found: dict[str, Any] = _plain(modelled(call) or {})
    return found


def modelled(call: Call) -> dict[str, Any] | None:
    """What a call asks with, by the service's model; None for what is no operation, or can't be read: the handler knows what to say."""
    try:
        model = get_service_model(call.service)
        operation = model.operation_model(call.operation)
    except (OperationNotFoundError, ValueError):
        return None
    request = call.moto
    try:
        protocol = determine_request_protocol(model, request.content_type)
        parsed: dict[str, Any] = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": _in_path(call),
            }
        )
    except Exception:  # parsers fail in as many ways as there are ways to write a request wrong
        # As it came, a JSON body says which of its values is of another kind than the model's.
        return (call.json or None) if call.http.header("x-amz-target") else None
    return parsed


def _cloudwatch(call: Call) -> dict[str, Any]:
    from local.cloud.cloudwatch import wire

    request = call.handler_request()
    try:
        model = get_service_model("cloudwatch").operation_model(call.operation)
    except OperationNotFoundError:
        return {}
    return wire.parse(request, wire.protocol_of(request), model)


def _in_path(call: Call) -> dict[str, Any]:
    try:
        return dict(get_service_router(call.service).match(call.moto)[1])
    except (NotFound, NotImplementedError, ValueError):
        return {}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
