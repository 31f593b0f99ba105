"""One call of an AWS operation on its way through the dispatcher."""

from __future__ import annotations

import io
import json
import threading
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, Request, environ_key_for_header, should_preserve_original_header_name
from moto.core.routing import NotFound, get_service_router

from local.cloud.accounts import Caller
from local.cloud.http import HttpRequest


class ServerRequest(Request):
    """moto's request, told that a real server is around it and writes the Date."""

    from_wsgi_server = True


class Call:
    """What is asked, of which service and region, by whom, and in whose account it will act.

    `service` is the name of the service in botocore ("sagemaker-runtime", "application-autoscaling"). `account` starts as the caller's; a
    resource policy that lets the caller in may change it to the owner's.
    """

    def __init__(self, http: HttpRequest, service: str, region: str, caller: Caller) -> None:
        self.http = http
        self.service = service
        self.region = region
        self.caller = caller
        self.account = caller.account_id

    @cached_property
    def operation(self) -> str:
        """The operation's name, or "" where the request matches none."""
        target = self.http.header("x-amz-target")
        if target:
            return target.rsplit(".", 1)[-1]
        if self.http.path.startswith("/service/"):  # smithy RPC: /service/<name>/operation/<operation>
            return self.http.path.rsplit("/", 1)[-1]
        if "Action" in self.form:
            return self.form["Action"]
        try:
            matched, _ = get_service_router(self.service).match(self.moto)
            return str(matched.name)
        except (NotFound, NotImplementedError, ValueError):
            return ""

    @cached_property
    def form(self) -> dict[str, str]:
        """Parameters of the query protocols, from the query string and a form body; the first value of each."""
        values = parse_qs(self.http.query, keep_blank_values=True)
        if self.http.header("content-type").startswith("application/x-www-form-urlencoded"):
            values.update(parse_qs(self.http.body.decode("utf-8", "replace"), keep_blank_values=True))
        return {name: found[0] for name, found in values.items()}

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body of the JSON protocols, or an empty dict."""
        try:
            parsed = json.loads(self.http.body) if self.http.body else {}
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @cached_property
    def path(self) -> str:
        """The decoded path."""
        return unquote(self.http.path)

    @cached_property
    def moto(self) -> ServerRequest:
        return ServerRequest(self._environ())

    def act_in(self, account: str) -> None:
        """Let the handler work on the state of `account`."""
        self.account = account

    def _environ(self) -> dict[str, Any]:
        http = self.http
        host = http.header("host", "127.0.0.1")
        split = urlsplit(f"//{host}")
        target = http.target
        if "://" in target.split("?", 1)[0]:
            parts = urlsplit(target)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": http.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(target.split("?", 1)[0], "latin-1"),
            "QUERY_STRING": http.query,
            "RAW_URI": target,
            "SERVER_NAME": split.hostname or "127.0.0.1",
            "SERVER_PORT": str(split.port or 80),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(http.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        names: dict[str, str] = {}
        for name, value in http.headers:
            if name.lower() == "transfer-encoding":
                continue
            key = environ_key_for_header(name)
            if should_preserve_original_header_name(name):
                names[key] = name
            environ[key] = f"{environ[key]},{value}" if key in environ and key.startswith("HTTP_") else value
        environ["CONTENT_LENGTH"] = str(len(http.body))
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.account
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
        return environ

    def handler_request(self) -> ServerRequest:
        """A fresh request for the handler, in the account where the call is to act."""
        return ServerRequest(self._environ())


_current = threading.local()


def current() -> Call | None:
    """The call that this thread is answering."""
    return getattr(_current, "call", None)


def set_current(call: Call | None) -> None:
    _current.call = call
