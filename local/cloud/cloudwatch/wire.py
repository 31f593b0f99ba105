"""CloudWatch's three wire protocols: smithy RPC v2 CBOR (today's SDKs), awsJson 1.0, and query.

Requests become plain dicts by the members' names, results are plain dicts; the operations know no protocol.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import OperationNotFoundError
from botocore.parsers import RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from local.cloud.aws_errors import CloudError, not_implemented

Answer = tuple[int, dict[str, str], str | bytes]
Operation = Callable[[dict[str, Any]], dict[str, Any]]

CBOR = "smithy-rpc-v2-cbor"


def protocol_of(request: Request) -> str:
    """The protocol that a request speaks."""
    content_type = request.headers.get("Content-Type", "")
    if request.path.startswith("/service/"):
        return CBOR
    return "json" if content_type.startswith("application/x-amz-json") else "query"


def operation_of(request: Request, protocol: str) -> str:
    """The name of the operation that is asked for."""
    if protocol == CBOR:
        return str(request.path.rsplit("/", 1)[-1])
    if protocol == "json":
        return str(request.headers.get("X-Amz-Target", "")).rsplit(".", 1)[-1]
    return str(request.values.get("Action", ""))


def parse(request: Request, protocol: str, model: OperationModel) -> dict[str, Any]:
    """The parameters of a request."""
    if model.input_shape is None:
        return {}
    if protocol == CBOR:
        body = request.get_data()
        parser = RpcV2CBORParser()
        found = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body)) if body else {}
        return dict(found)
    parser = PROTOCOL_PARSERS[protocol](model)
    request_dict = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": request.get_data(),
        "url_path": request.path,
        "url_params": {},
    }
    given: dict[str, Any] = _plain(parser.parse(request_dict))
    return given


def answer(request: Request, operations: Mapping[str, Operation]) -> Answer:
    """Calls the operation that a request names and writes its result, or its error, in the request's protocol."""
    protocol = protocol_of(request)
    name = operation_of(request, protocol)
    service = get_service_model("cloudwatch")
    try:
        model = service.operation_model(name)
    except OperationNotFoundError:
        return _error(
            protocol, OperationModel({}, service), CloudError("InvalidAction", f"Could not find operation {name} for version 2010-08-01")
        )
    try:
        operation = operations.get(name)
        if operation is None:
            raise not_implemented("cloudwatch", name)
        result = operation(parse(request, protocol, model))
    except CloudError as error:
        return _error(protocol, model, error)
    return _result(protocol, model, result)


def _result(protocol: str, model: OperationModel, result: dict[str, Any]) -> Answer:
    if protocol == CBOR:
        body = bytearray()
        shape = model.output_shape
        if shape is not None:
            RpcV2CBORSerializer()._serialize_data_item(body, _clean(result), shape)  # type: ignore[attr-defined]
        return 200, _cbor_headers(), bytes(body)
    serialized = get_serializer_class("cloudwatch", protocol)(operation_model=model).serialize(result)
    return 200, dict(serialized["headers"]), serialized["body"]


def _error(protocol: str, model: OperationModel, error: CloudError) -> Answer:
    if protocol == CBOR:
        body = bytearray()
        serializer = RpcV2CBORSerializer()
        serializer._serialize_type_map(body, {"__type": error.code, "message": error.message}, _StringMap(), None)  # type: ignore[attr-defined]
        headers = _cbor_headers() | {"x-amzn-query-error": f"{error.code};{'Sender' if error.status < 500 else 'Receiver'}"}
        return error.status, headers, bytes(body)
    if protocol == "json":
        text = json.dumps({"__type": error.code, "message": error.message})
        return error.status, {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": str(uuid.uuid4())}, text
    serialized = get_serializer_class("cloudwatch", protocol)(operation_model=model).serialize(error)
    return error.status, dict(serialized["headers"]), serialized["body"]


class _StringMap:
    """The shape of an error's body for the CBOR writer: a map of strings."""

    class _String:
        type_name = "string"

    key = _String()
    value = _String()
    type_name = "map"


def _cbor_headers() -> dict[str, str]:
    return {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-RequestId": str(uuid.uuid4())}


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _clean(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
