"""A deployed environment in the embedded cloud, made with boto3: what Pulumi would have made, as far as promotion uses it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.boundary import boundary_document
from infra.config import load_all
from infra.documents import document
from infra.duties import KeyArns, permissions
from infra.naming import Duty
from infra.outputs import EnvironmentOutputs
from infra.site import Site as EnvironmentSite
from local.cloud.clock import Tether
from pipelines.promotion.engine import Engine
from pipelines.promotion.names import name_prefix
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.plan import Order
from pipelines.promotion.seam import Aws
from tests.cloud.images import push_image
from tests.promotion.environment import make_outputs

STACKS = Path(__file__).resolve().parents[2] / "stacks"
SERVE = r'''#!/usr/bin/env python
"""Answers what model/answer.txt says; fails on any request that holds the word in model/fails-on.txt."""
import os, signal, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = os.path.join(os.environ["SAGEMAKER_BASE_DIR"], "model")


def read(name):
    path = os.path.join(MODEL, name)
    return open(path, "rb").read() if os.path.exists(path) else b""


ANSWER, FAILS_ON = read("answer.txt"), read("fails-on.txt")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        failed = FAILS_ON and FAILS_ON in body
        self.answer(500 if failed else 200, b"it broke" if failed else ANSWER)

    def answer(self, status, body):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
'''


def archive(files: dict[str, bytes]) -> bytes:
    """A model.tar.gz of the files, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    data = bytearray(buffer.getvalue())
    data[4:8] = bytes(4)  # gzip's time stamp
    return bytes(data)


@dataclass
class Load:
    """A steady load on the endpoint: what was answered, and what failed."""

    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Site:
    """One environment. `release` packages are registered with all the evidence that a training would have left."""

    def __init__(
        self, cloud: Any, environment: str = "dev", account: str = "111111111111", source: Site | None = None, **changes: Any
    ) -> None:
        self.cloud = cloud
        self.source = source
        self.session = cloud.session(account, "us-east-1")
        key = self.session.client("kms").create_key(Description="tests")["KeyMetadata"]["Arn"]
        outputs = make_outputs(environment, account, source.outputs if source else None).model_dump()
        outputs["keys"] = {purpose: key for purpose in outputs["keys"]}
        outputs["serving"]["volume_kms_key_arn"] = outputs["serving"]["data_capture"]["kms_key_arn"] = key
        outputs["promotion"] |= changes.pop("promotion", {})
        # Neither the time limit, which is in the service's time, nor the alarm on latency is to measure how busy this machine is.
        outputs["release_alarms"]["latency_p99_ms"] = 60_000
        patient = {"wait_interval_seconds": 480, "minimum_green_invocations": 2, "maximum_execution_timeout_seconds": 28_800}
        outputs["rollout"] |= patient | changes.pop("rollout", {})
        self._network(outputs)
        self.outputs: EnvironmentOutputs = EnvironmentOutputs.model_validate(outputs)
        self.sagemaker = self.session.client("sagemaker")
        self.s3 = self.session.client("s3")
        self.cloudwatch = self.session.client("cloudwatch")
        self._versions = 0
        self._tethers: list[Tether] = []
        cloud.guards.append(lambda call: self._called())
        self._deploy()

    def _network(self, outputs: dict[str, Any]) -> None:
        ec2 = self.session.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.10.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        group = ec2.create_security_group(GroupName="serving", Description="tests", VpcId=vpc)["GroupId"]
        outputs["serving"] |= {"subnet_ids": subnets, "security_group_ids": [group]}

    def _deploy(self) -> None:
        o = self.outputs
        iam = self.session.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        for arn in (o.roles.serving, o.roles.promotion, o.roles.jobs):
            trusting = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            iam.create_role(RoleName=arn.rpartition("/")[2], AssumeRolePolicyDocument=trusting)
        if self.cloud.enforce_iam:
            self._give_duties(iam)
        for bucket in (o.buckets.data, o.buckets.artefacts, o.buckets.capture):
            self.s3.create_bucket(Bucket=bucket.name)
        self.s3.create_bucket(Bucket=o.buckets.ledger.name, ObjectLockEnabledForBucket=True)
        self.session.client("dynamodb").create_table(
            TableName=o.promotion.journal_table_name,
            KeySchema=[{"AttributeName": "promotion_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "promotion_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.image = push_image(self.session, o.repositories.workload.name, {"bin/serve": SERVE})
        self.sagemaker.create_model_package_group(ModelPackageGroupName=o.model_package_group_name)
        for name in o.endpoint.alarm_names:
            self.put_alarm(name)
        self.deploy_endpoint()
        self._registrar = self.cloud.session(o.account_id, o.region, o.roles.jobs).client("sagemaker")

    def _give_duties(self, iam: Any) -> None:
        """The roles' policies and boundary as Pulumi would write them, for names that leave the workload out, and for one key."""
        o = self.outputs
        stacks = load_all(STACKS)
        site = EnvironmentSite.of(stacks[o.environment], stacks)
        key = o.keys.data

        def ours(text: str) -> str:
            return re.sub(rf"lockstep-(\w+)-{site.names.workload}\b", r"lockstep-\1", text)

        made = iam.create_policy(PolicyName=site.names.boundary, PolicyDocument=ours(boundary_document(site)))
        duties: tuple[Duty, ...] = ("serving", "promotion", "jobs")
        for duty in duties:
            name = site.names.role(duty)
            text = document(permissions(site, duty, KeyArns(data=key, artefacts=key, ledger=key, operations=key)))
            iam.put_role_policy(RoleName=name, PolicyName="duty", PolicyDocument=ours(text))
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=made["Policy"]["Arn"])

    def deploy_endpoint(self) -> None:
        """The endpoint on its bootstrap release, as `pulumi up` makes it, also after it was deleted."""
        o = self.outputs
        uri = self.put("bootstrap/model.tar.gz", archive({"answer.txt": b"bootstrap"}))
        names = [model["ModelName"] for model in self.sagemaker.list_models()["Models"]]
        if o.endpoint.bootstrap_model_name not in names:
            self.sagemaker.create_model(
                ModelName=o.endpoint.bootstrap_model_name,
                ExecutionRoleArn=o.serving.execution_role_arn,
                PrimaryContainer={"Image": self.image, "ModelDataUrl": uri},
            )
            variant = {
                "VariantName": o.serving.variant_name,
                "ModelName": o.endpoint.bootstrap_model_name,
                "InstanceType": o.serving.instance_type,
                "InitialInstanceCount": o.serving.instance_count,
                "InitialVariantWeight": 1.0,
            }
            self.sagemaker.create_endpoint_config(EndpointConfigName=o.endpoint.bootstrap_config_name, ProductionVariants=[variant])
        self.sagemaker.create_endpoint(EndpointName=o.endpoint.name, EndpointConfigName=o.endpoint.bootstrap_config_name)
        self.settled()

    def put_alarm(self, name: str, **changes: Any) -> None:
        dimensions = [
            {"Name": "EndpointName", "Value": self.outputs.endpoint.name},
            {"Name": "VariantName", "Value": self.outputs.serving.variant_name},
        ]
        alarm = {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocation5XXErrors",
            "Dimensions": dimensions,
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.9,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        }
        self.cloudwatch.put_metric_alarm(AlarmName=name, **{**alarm, **changes})

    def put(self, key: str, body: bytes, bucket: str = "") -> str:
        name = bucket or self.outputs.buckets.artefacts.name
        self.s3.put_object(Bucket=name, Key=key, Body=body)
        return f"s3://{name}/{key}"

    def person(self, name: str, role: str = "people") -> Any:
        """A boto3 session of somebody who came in through a role that IAM of the account knows nothing of: a person."""
        from local.cloud.accounts import role_session

        caller = role_session(f"arn:aws:iam::{self.outputs.account_id}:role/{role}", name)
        return self.cloud.session_of(self.cloud.accounts.mint(caller, None), self.outputs.region)

    def package(self, answer: str, *, fails_on: str = "", approval: str = "Approved", promotion: str = "", **metadata: str) -> str:
        """Register a candidate whose model answers `answer`; returns the package's ARN. Nothing is shared between packages but bytes."""
        o = self.outputs
        self._versions += 1
        artefact = archive({"answer.txt": answer.encode(), "fails-on.txt": fails_on.encode()})
        sha = hashlib.sha256(artefact).hexdigest()
        uri = self.put(f"models/{sha}/model.tar.gz", artefact)
        digest = self.image.rpartition("@")[2]
        folder = f"runs/{self._versions}"
        subject = {"artefact_sha256": sha, "image": self.image, "golden_sha256": "a" * 64}
        evaluation = {"applicable": True, "metrics": {"auc": 0.8}, **subject}
        gates = {"passed": True, "summary": "all passed", **subject}
        probes = {"requests": [{"content_type": "text/csv", "body": f"golden {n}", "answer": answer} for n in range(3)]}
        values = {
            "workload": "tiny",
            "artefact-sha256": sha,
            "image-digest": digest,
            "data-sha256": "d" * 64,
            "code-sha256": "c" * 64,
            "golden-sha256": "a" * 64,
            "evaluation-uri": self.put(f"{folder}/evaluation.json", json.dumps(evaluation).encode()),
            "gates-uri": self.put(f"{folder}/gates.json", json.dumps(gates).encode()),
            "requested-by": f"arn:aws:sts::{o.account_id}:assumed-role/data/asker",
            "promotion-id": promotion or f"{o.environment}-{self._versions}-1",
            **metadata,
        }
        self.put(f"{folder}/probes.json", json.dumps(probes).encode())
        # By the role of the jobs, as a training does it.
        made = self._registrar.create_model_package(
            ModelPackageGroupName=o.model_package_group_name,
            ModelApprovalStatus=approval,
            InferenceSpecification={
                "Containers": [{"Image": self.image, "ImageDigest": digest, "ModelDataUrl": uri}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/plain"],
            },
            CustomerMetadataProperties=values,
        )
        return str(made["ModelPackageArn"])

    # -- releases --------------------------------------------------------------------------------------------------

    def execute(self, operation: str, package: str = "", *, run: str = "run", requested_by: str = "") -> Outcome:
        """Run the release step in this process, at the pace of its calls."""
        aws = Aws(self.session, table=self.outputs.promotion.journal_table_name)
        with self.paced():
            return Engine(aws, self.outputs, run=run).execute(Order.parse(operation, package, requested_by))

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Time goes on only while the account is called: a run that the machine keeps waiting does not miss a whole bake."""
        with self.cloud.clock.tether(self._reach) as tether:
            self._tethers.append(tether)
            try:
                yield
            finally:
                self._tethers.remove(tether)

    def _called(self) -> None:
        for tether in list(self._tethers):
            tether.pull(self._reach)

    @property
    def _reach(self) -> float:
        return float(self.cloud.clock.speed) / 4

    # -- what the account looks like ------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        return dict(self.sagemaker.describe_endpoint(EndpointName=self.outputs.endpoint.name))

    def settled(self, deadline: float = 90) -> dict[str, Any]:
        end = time.monotonic() + deadline
        while (described := self.describe())["EndpointStatus"] not in {"InService", "Failed"}:
            assert time.monotonic() < end, described
            time.sleep(0.02)
        return described

    def answers(self, body: str = "hello") -> str:
        runtime = self.session.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=self.outputs.endpoint.name, Body=body.encode(), ContentType="text/csv")
        return str(answer["Body"].read().decode())

    def leftovers(self) -> list[str]:
        """Names of releases' resources that do not belong to the live release."""
        prefix = name_prefix(self.outputs.promotion.release_prefix)
        live = self.describe()["EndpointConfigName"]
        names = [m["ModelName"] for page in self._pages("list_models") for m in page["Models"]]
        names += [c["EndpointConfigName"] for page in self._pages("list_endpoint_configs") for c in page["EndpointConfigs"]]
        pages = self.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        names += [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]
        return [name for name in names if name.startswith(prefix) and not (name == live or name.startswith(f"{live}-"))]

    def _pages(self, operation: str) -> Any:
        return self.sagemaker.get_paginator(operation).paginate()

    def ledger(self, prefix: str) -> dict[str, dict[str, Any]]:
        bucket = self.outputs.buckets.ledger.name
        return {key: json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in self.ledger_keys(prefix)}

    def ledger_keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.outputs.buckets.ledger.name, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def lease(self) -> dict[str, Any]:
        """Who had the lease of the endpoint last, and whether that promotion came to its end."""
        key = {"promotion_id": {"S": f"LEASE#{self.outputs.endpoint.name}"}}
        table = self.outputs.promotion.journal_table_name
        item = self.session.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        return dict(json.loads(item["body"]["S"]))

    @contextmanager
    def load(self, *, per_second: float = 20.0, body: str = "hello") -> Iterator[Load]:
        """Requests to the endpoint at a steady rate, from a thread of the test, until the block ends; time waits for late ones."""
        found, ended = Load(), threading.Event()
        clock = self.cloud.clock
        leave = 3 * clock.speed / per_second

        def send() -> None:
            runtime = self.session.client("sagemaker-runtime")
            while not ended.wait(1 / per_second):
                tether.pull(leave)
                try:
                    answer = runtime.invoke_endpoint(EndpointName=self.outputs.endpoint.name, Body=body.encode(), ContentType="text/csv")
                    text = answer["Body"].read().decode()
                    found.answers[text] = found.answers.get(text, 0) + 1
                except Exception as error:
                    found.failures.append(f"{type(error).__name__}: {error}")

        with clock.tether(leave) as tether:
            thread = threading.Thread(target=send, daemon=True)
            thread.start()
            try:
                yield found
            finally:
                ended.set()
                thread.join(90)
