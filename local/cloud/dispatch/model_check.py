"""What AWS refuses of a request before it looks at anything else: parameters that the service's model does not allow.

Every service of AWS holds requests against its model. moto's mostly do not, so a name that AWS would never take, or a value that it
does not know, would pass here and fail there.
"""

from __future__ import annotations

from typing import Any

from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import determine_request_protocol
from moto.core.routing import NotFound, get_service_router
from moto.core.utils import get_service_model

from local.cloud.aws_errors import CloudError
from local.cloud.dispatch.call import Call
from local.cloud.shape_checks import message, violations

# CloudWatch's room reads its three protocols by itself, and checks what it reads.
_CHECK_THEMSELVES = frozenset({"cloudwatch"})
# Layers and objects: what is long is content, and no model says anything of content.
_LONG = 1024 * 1024
# How a service calls it; the others say ValidationException.
_CODES = {
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "s3": "MalformedXML",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "sts": "ValidationError",
}


def check(call: Call) -> None:
    """Raises CloudError, in the service's own code, for a request that its model does not allow."""
    if call.service in _CHECK_THEMSELVES or len(call.http.body) > _LONG:
        return
    params = _parameters(call)
    found = violations(call.service, call.operation, params) if params is not None else []
    if found:
        raise CloudError(_CODES.get(call.service, "ValidationException"), message(found))


def _parameters(call: Call) -> dict[str, Any] | None:
    """The parameters by the names of the model; None for what is no operation, or can't be read: the handler knows what to say."""
    try:
        model = get_service_model(call.service)
        operation = model.operation_model(call.operation)
    except (OperationNotFoundError, ValueError):
        return None
    request = call.moto
    try:
        _, in_path = get_service_router(call.service).match(request)
    except (NotFound, NotImplementedError, ValueError):
        in_path = {}
    try:
        protocol = determine_request_protocol(model, request.content_type)
        parsed: dict[str, Any] = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": in_path,
            }
        )
    except Exception:  # parsers fail in as many ways as there are ways to write a request wrong
        return None
    return parsed
