"""The seam to AWS over a world in memory, of a process that can be killed after any call."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from pipelines.promotion.seam import Answer, Aws
from tests.promotion.world import World, failure, said_by


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing catches it."""


class FakeAws(Aws):
    """One process's view of a world. `kill_after` makes it die right after its n-th call took effect."""

    def __init__(self, world: World, *, kill_after: int | None = None, on_call: Callable[[int], None] | None = None) -> None:
        self.world = world
        self.kill_after = kill_after
        self.calls: list[str] = []
        self.on_call = on_call
        self._now = 0.0
        self.before = lambda call, on: None

    def _done(self, call: str) -> None:
        self.calls.append(call)
        self.world.advance(0.2)
        self._now = float(int(self.world.time))
        if self.on_call:
            self.on_call(len(self.calls))
        if self.kill_after is not None and len(self.calls) >= self.kill_after:
            raise Killed

    def sleep(self, seconds: float) -> None:
        self.world.advance(max(seconds, 10.0))

    def read_item(self, key: str) -> Answer | None:
        found = copy.deepcopy(self.world.items.get(key))
        self._done("GetItem")
        return found

    def _put_item(self, key: str, body: Answer, *, expected: int, writer: str) -> bool:
        found = self.world.items.get(key)
        fits = (found["version"] if found else 0) == expected
        if fits:
            self.world.items[key] = {"version": expected + 1, "writer": writer, "body": json.loads(json.dumps(body))}
        self._done("PutItem")
        return fits

    def endpoint(self, name: str) -> Answer | None:
        w = self.world
        answer: Answer | None = None
        if w.exists:
            answer = {
                "EndpointStatus": w.status,
                "EndpointConfigName": w.live,
                "ProductionVariants": [{"DesiredInstanceCount": w.desired}],
                "LastDeploymentConfig": w.last_deployment,
                "FailureReason": w.failure_reason,
                "LastModifiedTime": datetime.fromtimestamp(w.modified, UTC),
            }
            stage = w.stage()
            if stage and w.deployment:
                status = {"Status": stage[0], "StartTime": datetime.fromtimestamp(stage[1], UTC)}
                answer["PendingDeploymentSummary"] = {
                    "EndpointConfigName": w.deployment["config"],
                    "ProductionVariants": [{"VariantStatus": [status]}],
                }
        self._done("DescribeEndpoint")
        return answer

    def update_endpoint(self, name: str, *, config: str, deployment: Answer, retain: bool) -> None:
        self.before("UpdateEndpoint", f"{name} -> {config}")
        self.world.start_update(config, deployment, retain)
        self._done("UpdateEndpoint")

    def _things(self, kind: str) -> dict[str, Answer]:
        return {"model": self.world.models, "config": self.world.configs}[kind]

    def _read(self, kind: str, name: str) -> Answer | None:
        found = copy.deepcopy(self._things(kind).get(name))
        self._done(f"Describe {kind}")
        return found

    def _create(self, kind: str, name: str, request: Answer) -> None:
        self.before(f"Create {kind}", name)
        if name in self._things(kind):
            raise failure(f"Create {kind}", f"Cannot create already existing {kind}")
        self._things(kind)[name] = copy.deepcopy(request)
        self._done(f"Create {kind}")

    def _delete(self, kind: str, name: str) -> None:
        self.before(f"Delete {kind}", name)
        if kind == "config" and name in {self.world.live, (self.world.deployment or {}).get("config")}:
            self.world.deleted_in_use.append(name)
        self._things(kind).pop(name, None)
        self._done(f"Delete {kind}")

    def _list(self, kind: str, prefix: str) -> list[str]:
        names = sorted(name for name in self._things(kind) if name.startswith(prefix))
        self._done(f"List {kind}")
        return names

    def model(self, name: str) -> Answer | None:
        return self._read("model", name)

    def create_model(self, request: Answer, tags: list[dict[str, str]]) -> None:
        self._create("model", request["ModelName"], request)

    def delete_model(self, name: str) -> None:
        self._delete("model", name)

    def models(self, prefix: str) -> list[str]:
        return self._list("model", prefix)

    def endpoint_config(self, name: str) -> Answer | None:
        return self._read("config", name)

    def create_endpoint_config(self, request: Answer, tags: list[dict[str, str]]) -> None:
        self._create("config", request["EndpointConfigName"], request)

    def delete_endpoint_config(self, name: str) -> None:
        self._delete("config", name)

    def endpoint_configs(self, prefix: str) -> list[str]:
        return self._list("config", prefix)

    def invoke(self, endpoint: str, *, body: str, content_type: str) -> Answer:
        w = self.world
        answer = {"ok": True, "status": 200, "body": w.answers.get(f"{w.package_of_live()} {body}", "bootstrap")}
        stage = w.stage()
        if w.green_fails and stage and stage[0] == "Baking" and len(self.calls) % 10 == 0:
            answer = {"ok": False, "status": 500, "body": "ModelError: it broke"}
        self._done("InvokeEndpoint")
        return answer

    def alarms(self, names: Iterable[str]) -> dict[str, Answer]:
        found = {name: {**self.world.alarm_table[name]} for name in names if name in self.world.alarm_table}
        self._done("DescribeAlarms")
        return found

    def alarm_names(self, prefix: str) -> list[str]:
        found = [name for name in self.world.alarm_table if name.startswith(prefix)]
        self._done("DescribeAlarms")
        return found

    def put_alarm(self, request: Answer, tags: list[dict[str, str]]) -> None:
        self.before("PutMetricAlarm", request["AlarmName"])
        self.world.alarm_table[request["AlarmName"]] = {**request, "StateValue": "INSUFFICIENT_DATA", "made": self.world.time}
        self._done("PutMetricAlarm")

    def delete_alarms(self, names: list[str]) -> None:
        self.before("DeleteAlarms", ", ".join(names))
        for name in names:
            self.world.alarm_table.pop(name, None)
        self._done("DeleteAlarms")

    def put_metric(self, namespace: str, metric: str, dimensions: dict[str, str], value: float) -> None:
        self.before("PutMetricData", metric)
        for alarm in self.world.alarm_table.values():
            if alarm.get("MetricName") == metric and alarm["Dimensions"][0]["Value"] == dimensions["EndpointConfigName"]:
                alarm["StateValue"] = "ALARM"
        self._done("PutMetricData")

    def metric_sum(self, namespace: str, metric: str, dimensions: dict[str, str], *, start: float, end: float) -> float:
        w = self.world
        total = 0.0
        if w.live == dimensions["EndpointConfigName"]:
            total = w.traffic * 300
        elif w.deployment and (stage := w.stage()) and stage[0] in {"Baking", "Deleting"}:
            total = w.traffic * max(0.0, w.time - w.deployment["began"] - 30 - w.metrics_late)
        self._done("GetMetricStatistics")
        return total

    def package(self, arn: str) -> Answer | None:
        found = copy.deepcopy(self.world.packages.get(arn))
        self._done("DescribeModelPackage")
        return found

    def execution(self, arn: str) -> Answer | None:
        self._done("DescribePipelineExecution")
        return copy.deepcopy(self.world.runs.get(arn))

    def void_approval(self, arn: str, description: str) -> None:
        self.before("UpdateModelPackage", arn)
        package = self.world.packages[arn]
        package |= {"ModelApprovalStatus": "Rejected", "ApprovalDescription": description, "LastModifiedBy": said_by("promotion/SageMaker")}
        self._done("UpdateModelPackage")

    def set_package_stage(self, arn: str, *, stage: str, status: str, description: str) -> None:
        self.before("UpdateModelPackage", arn)
        if arn not in self.world.packages:
            raise failure("UpdateModelPackage", f"ModelPackage {arn} does not exist")
        life_cycle = {"Stage": stage, "StageStatus": status, "StageDescription": description}
        self.world.packages[arn] |= {"ModelLifeCycle": life_cycle, "LastModifiedBy": said_by("promotion/SageMaker")}
        self._done("UpdateModelPackage")

    def read_object(self, bucket: str, key: str) -> bytes | None:
        found = self.world.objects.get((bucket, key))
        self._done("GetObject")
        return found

    def object_sha256(self, bucket: str, key: str, heartbeat: Callable[[], None]) -> str | None:
        found = self.world.objects.get((bucket, key))
        self._done("GetObject")
        return None if found is None else hashlib.sha256(found).hexdigest()

    def write_object_once(self, bucket: str, key: str, body: bytes) -> bool:
        self.before("PutObject", f"s3://{bucket}/{key}")
        new = (bucket, key) not in self.world.objects
        self.world.objects.setdefault((bucket, key), body)
        self._done("PutObject")
        return new

    def keys(self, bucket: str, prefix: str) -> list[str]:
        found = sorted(key for b, key in self.world.objects if b == bucket and key.startswith(prefix))
        self._done("ListObjectsV2")
        return found

    def has_object_lock(self, bucket: str) -> bool:
        self._done("GetObjectLockConfiguration")
        return bucket == self.world.outputs.buckets.ledger.name

    def image(self, *, repository: str, digest: str, registry: str) -> Answer | None:
        self._done("BatchGetImage")
        return copy.deepcopy(self.world.images.get(digest))

    def key_state(self, arn: str) -> str | None:
        self._done("DescribeKey")
        return self.world.keys_state.get(arn, "Enabled")

    def identity(self) -> Answer:
        self._done("GetCallerIdentity")
        return {"Account": self.world.outputs.account_id, "Arn": self.world.outputs.roles.promotion}
