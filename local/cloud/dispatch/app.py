"""The application behind the port: finds service and caller, asks the guards, calls the handler, writes answers and errors."""

from __future__ import annotations

import logging
import threading
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.model import OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from local.cloud.accounts import credential_scope
from local.cloud.aws_errors import CloudError, not_implemented
from local.cloud.dispatch import call as calls
from local.cloud.dispatch import model_check
from local.cloud.dispatch.call import Call
from local.cloud.http import HttpRequest, HttpResponse
from local.cloud.regions import check_region
from local.cloud.services import routes, service_of

if TYPE_CHECKING:
    from local.cloud.context import Cloud

log = logging.getLogger("local.cloud")

# moto warns of every error code that a service model does not list; AWS answers such codes too.
warnings.filterwarnings("ignore", message=r"Exception\(CloudError\) with code")


class Application:
    """Answers every request of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self.admin: dict[str, Callable[[HttpRequest], HttpResponse]] = {}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path
        for pattern, fast in self._cloud.fast_routes:
            found = pattern.match(path)
            if found:
                return fast(request, found)
        if path.startswith("/_lockstep/"):
            answer = self.admin.get(path)
            return answer(request) if answer else _text(404, "no such page")
        return self._aws(request)

    def _aws(self, request: HttpRequest) -> HttpResponse:
        scope = credential_scope(request.header("authorization"))
        if scope is None:
            return _text(403, "MissingAuthenticationToken: requests to the embedded cloud are signed (AWS Signature Version 4)")
        access_key, region, signing_name = scope
        service = service_of(signing_name, request.path, request.header("x-amz-target"))
        try:
            check_region(service, region)
            caller = self._cloud.accounts.resolve(access_key)
        except CloudError as error:
            from local.cloud.accounts import root_of

            return self._error(Call(request, service, region, root_of("000000000000")), error)
        call = Call(request, service, region, caller)
        calls.set_current(call)
        try:
            return self._handled(call)
        except CloudError as error:
            return self._error(call, error)
        except ServiceException as error:
            return self._error(call, CloudError(error.code, error.message))
        except HTTPException as error:
            return _plain(error.code or 500, dict(error.get_headers()), error.description or "")
        except ClientError as error:
            details = error.response["Error"]
            return self._error(call, CloudError(details["Code"], details["Message"]))
        except NotImplementedError:
            log.debug("%s", traceback.format_exc())
            return self._error(call, not_implemented(service, call.operation))
        except Exception:
            log.exception("%s:%s failed", service, call.operation)
            return self._error(call, CloudError("InternalFailure", "The embedded cloud failed to answer; its log says why.", 500))
        finally:
            calls.set_current(None)

    def _handled(self, call: Call) -> HttpResponse:
        table = routes(call.service)
        if table is None:
            raise not_implemented(call.service, call.operation or call.http.method)
        for guard in self._cloud.guards:
            guard(call)
        model_check.check(call)
        for route in table:
            if route.pattern.match(call.http.path):
                request = call.handler_request()
                result = route.handler(request, request.raw_url, dict(request.headers))
                status, headers, body = result if len(result) == 3 else (200, {}, result)
                return _plain(int(status), headers, body)
        raise not_implemented(call.service, call.operation or call.http.path)

    def _error(self, call: Call, error: CloudError) -> HttpResponse:
        if error.code == "NotImplemented":
            self._tell_once(error.message)
        return error_response(call.service, call.operation, call.http, error)

    def _tell_once(self, message: str) -> None:
        with self._lock:
            if message in self._told:
                return
            self._told.add(message)
        log.warning("not implemented: %s", message)


def error_response(service: str, operation: str, request: HttpRequest, error: CloudError) -> HttpResponse:
    """An error in the protocol of the service that was called."""
    try:
        model = get_service_model(service)
    except Exception:
        return _text(error.status, f"{error.code}: {error.message}")
    try:
        operation_model = model.operation_model(operation)
    except OperationNotFoundError:
        operation_model = OperationModel({}, model)
    if service == "cloudwatch":
        return _cloudwatch_error(request, operation_model, error)
    protocol = str(model.protocol)
    content_type = request.header("content-type")
    supported = model.metadata.get("protocols", [protocol])
    if content_type.startswith("application/x-www-form-urlencoded") and "query" in supported:
        protocol = "query"
    elif content_type.startswith("application/x-amz-json") and "json" in supported:
        protocol = "json"
    answer = get_serializer_class(model.service_name, protocol)(operation_model=operation_model).serialize(error)
    headers = dict(answer["headers"])
    headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))
    return _plain(error.status, headers, answer["body"])


def _cloudwatch_error(request: HttpRequest, model: OperationModel, error: CloudError) -> HttpResponse:
    """CloudWatch speaks three protocols; its own room knows them."""
    from local.cloud.cloudwatch import wire

    path, content_type = request.path, request.header("content-type")
    protocol = wire.CBOR if path.startswith("/service/") else "json" if content_type.startswith("application/x-amz-json") else "query"
    status, headers, body = wire._error(protocol, model, error)
    return _plain(status, headers, body)


def _plain(status: int, headers: Any, body: Any) -> HttpResponse:
    pairs: Iterable[tuple[str, Any]] = headers.items() if hasattr(headers, "items") else headers
    kept = [
        (str(name), str(value)) for name, value in pairs if str(name).lower() not in ("status", "date", "connection", "transfer-encoding")
    ]
    if isinstance(body, str):
        data = body.encode()
    elif isinstance(body, (bytes, bytearray, memoryview)):
        data = bytes(body)
    elif body is None:
        data = b""
    elif hasattr(body, "read"):
        data = body.read()
    else:
        data = b"".join(part if isinstance(part, bytes) else str(part).encode() for part in body)
    if data:  # a length that moto computed over other bytes would corrupt the connection
        kept = [(name, value) for name, value in kept if name.lower() != "content-length"]
    names = {name.lower() for name, _ in kept}
    if "content-type" not in names and status not in (204, 304):
        kept.append(("Content-Type", "text/html; charset=utf-8"))
    return HttpResponse(status, kept, data)


def _text(status: int, message: str) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "text/plain; charset=utf-8")], message.encode())
