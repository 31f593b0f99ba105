"""The WSGI application of SageMaker's serving contract: GET /ping and POST /invocations."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from pipelines.serving.handler import BadRequest, Handler

MAX_BODY = 6_291_456  # InvokeEndpoint's Body, in bytes
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}
Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class App:
    """Answers for one loaded model. It exists only once the model is loaded, so that /ping never lies."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status, body = self._answer(environ)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {REASONS[status]}", headers)
        return [body]

    def _answer(self, environ: Environ) -> tuple[int, bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if path == "/ping":
            return (200, b"") if method in ("GET", "HEAD") else _error(405, "ask /ping by GET")
        if path != "/invocations":
            return _error(404, "there are /ping and /invocations")
        if method != "POST":
            return _error(405, "ask /invocations by POST")
        try:
            return 200, self._handler.answer(_body(environ), environ.get("CONTENT_TYPE", ""))
        except BadRequest as error:
            return _error(error.status, str(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return _error(500, f"the model could not answer: {type(error).__name__}: {error}")


def _body(environ: Environ) -> bytes:
    try:
        length = int(environ.get("CONTENT_LENGTH") or "")
    except ValueError:
        raise BadRequest("Content-Length is missing", 411) from None
    if not 0 <= length <= MAX_BODY:
        raise BadRequest(f"{length} bytes; a request has at most {MAX_BODY}", 413)
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) != length:
        raise BadRequest("the body ended early")
    return body


def _error(status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": message[:1000]}).encode()
