"""What AWS refuses of a request before it looks at anything else: parameters that the service's model does not allow.

Every service of AWS holds requests against its model. moto's mostly do not, so a name that AWS would never take, or a value that it
does not know, would pass here and fail there.
"""

from __future__ import annotations

from local.cloud.aws_errors import CloudError
from local.cloud.dispatch.call import Call
from local.cloud.dispatch.parameters import modelled
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
    params = modelled(call)
    found = violations(call.service, call.operation, params) if params is not None else []
    if found:
        raise CloudError(_CODES.get(call.service, "ValidationException"), message(found))
