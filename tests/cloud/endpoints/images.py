"""A serving image on the standard library alone, and models and configs that use it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from local.cloud.quotas.store import code_of
from tests.cloud.images import push_image

ACCOUNT = "111111111111"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/serving"

SERVE = r'''#!/usr/bin/env python
"""Answers /ping and /invocations; what it does is set by the environment."""
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, FAIL, DELAY = os.environ.get("NAME", "?"), os.environ.get("FAIL", ""), float(os.environ.get("DELAY", "0"))
BASE = os.environ["SAGEMAKER_BASE_DIR"]

if FAIL == "start":
    print("no way", file=sys.stderr)
    sys.exit(3)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(200 if FAIL != "ping" else 503, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body == b"die":
            os._exit(9)
        if body.startswith(b"sleep "):
            time.sleep(float(body.split()[1]))
        time.sleep(DELAY)
        if FAIL == "always" or body == b"fail":
            return self.answer(500, b"model failed")
        if body == b"bad":
            return self.answer(400, b"bad request")
        if body == b"busy":
            return self.answer(429, b"too many requests")
        if body == b"env":
            names = ("AWS_ACCESS_KEY_ID", "SAGEMAKER_BIND_TO_PORT", "NAME")
            known = {n: os.environ.get(n) for n in names}
            known["files"] = sorted(os.listdir(os.path.join(BASE, "model")))
            return self.answer(200, json.dumps(known).encode())
        self.answer(200, json.dumps({"name": NAME, "got": len(body), "pid": os.getpid()}).encode())

    def answer(self, status, body):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        custom = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if custom:
            head += f"X-Amzn-SageMaker-Custom-Attributes: {custom}\r\n"
        self.wfile.write(head.encode() + b"\r\n" + body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
'''


class Site:
    """An account with a role, a bucket, a serving image and a model archive: what endpoints are made from."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        session = cloud.session(ACCOUNT, REGION)
        self.sagemaker = session.client("sagemaker")
        self.runtime = session.client("sagemaker-runtime")
        self.cloudwatch = session.client("cloudwatch")
        self.s3 = session.client("s3")
        self.session = session
        trust = {
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
            "Version": "2012-10-17",
        }
        session.client("iam").create_role(RoleName="serving", AssumeRolePolicyDocument=json.dumps(trust))
        self.s3.create_bucket(Bucket="site")
        self.s3.put_object(Bucket="site", Key="model.tar.gz", Body=archive({"weights.txt": b"42"}))
        self.image = push_image(session, "serving", {"bin/serve": SERVE})
        # A module's tests leave their endpoints, and together have more instances than an account starts with.
        session.client("service-quotas").request_service_quota_increase(
            ServiceCode="sagemaker", QuotaCode=code_of("ml.m5.large"), DesiredValue=100
        )

    def model(self, name: str, environment: Mapping[str, str] | None = None, **extra: Any) -> str:
        container = {"Image": self.image, "ModelDataUrl": "s3://site/model.tar.gz", "Environment": {"NAME": name, **(environment or {})}}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container, **extra)
        return name

    def config(self, name: str, environment: Mapping[str, str] | None = None, count: int = 1, **extra: Any) -> str:
        """A model and an endpoint config of the same name."""
        self.model(name, environment)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
            "InitialVariantWeight": 1.0,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **extra)
        return name

    def endpoint(self, name: str, config: str) -> dict[str, Any]:
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def serving(self, name: str) -> Any:
        from local.cloud.sagemaker.backend import backends

        return backends[ACCOUNT][REGION].servings[name]

    def settled(self, name: str, timeout: float = 90) -> dict[str, Any]:
        """Waits for the end of what is under way; the endpoint's description."""
        assert self.serving(name).idle.wait(timeout), f"{name} did not settle: {self.sagemaker.describe_endpoint(EndpointName=name)}"
        return dict(self.sagemaker.describe_endpoint(EndpointName=name))

    def ask(self, name: str, body: bytes = b"1,2", **extra: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="text/csv", **extra)
        return dict(json.loads(answer["Body"].read()))


def archive(files: Mapping[str, bytes]) -> bytes:
    """A model.tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
