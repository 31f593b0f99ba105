"""Serving in script mode, as AWS's scikit-learn container does it: GET /ping and POST /invocations around the user's functions.

The user's module (SAGEMAKER_PROGRAM, under SAGEMAKER_SUBMIT_DIRECTORY) gives `model_fn(model_dir)` and may give `input_fn(body,
content_type)`, `predict_fn(data, model)`, `output_fn(prediction, accept)` or, in place of the last three, `transform_fn(model, body,
content_type, accept)`. Their defaults: CSV, JSON and NPY into a numpy array, `model.predict`, the array back into what the caller accepts.
Standard library alone, but for the defaults. Runs as a program of its own: nothing of the cloud is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
TEXT_TYPES = (JSON, CSV, "text/plain", "application/jsonlines", "application/x-www-form-urlencoded")


class UnsupportedFormat(Exception):
    """A content type that a default function can't read or write; answered as 415."""


class UserModule:
    """The user's functions, each with the container's default."""

    def __init__(self, module: ModuleType, model_dir: Path) -> None:
        model_fn = getattr(module, "model_fn", None)
        if model_fn is None:
            raise NotImplementedError("Please provide a model_fn implementation: it loads the model from the folder that it is given.")
        self._model = model_fn(str(model_dir))
        self._transform: Callable[..., Any] | None = getattr(module, "transform_fn", None)
        self._input = getattr(module, "input_fn", default_input)
        self._predict = getattr(module, "predict_fn", default_predict)
        self._output = getattr(module, "output_fn", default_output)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """The response body and its content type."""
        content = body.decode() if content_type.partition(";")[0].strip() in TEXT_TYPES else body
        if self._transform is not None:
            result = self._transform(self._model, content, content_type, accept)
        else:
            prediction = self._predict(self._input(content, content_type), self._model)
            result = self._output(prediction, accept)
        kind = accept
        if isinstance(result, tuple):
            result, kind = result[0], result[1]
        return (result.encode() if isinstance(result, str) else bytes(result)), kind


def default_input(body: str | bytes, content_type: str) -> Any:
    import numpy

    kind = content_type.partition(";")[0].strip()
    if kind == JSON:
        return numpy.array(json.loads(body))
    if kind == CSV:
        text = body.decode() if isinstance(body, bytes) else body
        return numpy.genfromtxt(io.StringIO(text), dtype=None, delimiter=",", encoding="utf-8")
    if kind == NPY:
        return numpy.load(io.BytesIO(body if isinstance(body, bytes) else body.encode()), allow_pickle=False)
    raise UnsupportedFormat(f"Content type {content_type} is not supported by this framework.")


def default_predict(data: Any, model: Any) -> Any:
    return model.predict(data)


def default_output(prediction: Any, accept: str) -> tuple[bytes, str]:
    import numpy

    array = numpy.asarray(prediction)
    if accept == JSON:
        return json.dumps(array.tolist()).encode(), accept
    if accept == CSV:
        text = io.StringIO()
        numpy.savetxt(text, numpy.atleast_1d(array), delimiter=",", fmt="%s")
        return text.getvalue().encode(), accept
    if accept == NPY:
        raw = io.BytesIO()
        numpy.save(raw, array)
        return raw.getvalue(), accept
    raise UnsupportedFormat(f"Content type {accept} is not supported by this framework.")


def load_module(program: str, folder: Path) -> ModuleType:
    """Import the user's file, its folder importable beside it."""
    path = folder / program
    if not path.is_file():
        raise FileNotFoundError(f"SAGEMAKER_PROGRAM is {program}, and {folder} has no such file.")
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def handler(user: UserModule) -> type[BaseHTTPRequestHandler]:
    default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._reply(200 if self.path == "/ping" else 404, b"", JSON)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path != "/invocations":
                self._reply(404, b"", JSON)
                return
            accept = self.headers.get("Accept") or default_accept
            accept = default_accept if accept in ("*/*", "any") else accept
            try:
                answer, kind = user.answer(body, self.headers.get("Content-Type") or JSON, accept)
            except UnsupportedFormat as error:
                self._reply(415, str(error).encode(), "text/plain")
            except Exception:
                traceback.print_exc()
                self._reply(500, b"<h1>Internal Server Error</h1>", "text/html")
            else:
                self._reply(200, answer, kind)

        def _reply(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            if self.path != "/ping":
                print(f"{self.address_string()} - {format % args}", flush=True)

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    model_dir = base / "model"
    folder = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or str(model_dir / "code")
    if folder.startswith("s3://"):
        sys.path.insert(0, str(Path(__file__).parent))
        folder = str(importlib.import_module("sklearn_source").fetch(folder, base / "code"))
    if (Path(folder) / "requirements.txt").exists():
        print("requirements.txt beside the program is not installed: the embedded cloud installs what an image locks", flush=True)
    user = UserModule(load_module(os.environ.get("SAGEMAKER_PROGRAM") or "inference.py", Path(folder)), model_dir)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    with Server(("127.0.0.1", port), handler(user)) as server:
        print(f"serving on port {port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
