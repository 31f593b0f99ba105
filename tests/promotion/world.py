"""The part of AWS that a promotion touches, in memory: an endpoint that moves through a blue-green deployment as time is moved on.

It exists so that thousands of histories (every crash, every pair of crashes) take seconds. What it claims of AWS is little and is checked
against the embedded cloud by the tests that run on that.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from botocore.exceptions import ClientError

from infra.outputs import EnvironmentOutputs
from pipelines.promotion.seam import Answer
from tests.promotion.environment import IMAGE_MANIFEST, make_outputs


def failure(operation: str, message: str, code: str = "ValidationException") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400, "RetryAttempts": 0}}, operation
    )  # type: ignore[typeddict-item]


def said_by(session: str, **more: str) -> Answer:
    """UserContext of a role's session, `<role>/<session>`."""
    role, _, name = session.partition("/")
    identity = {"Arn": f"arn:aws:sts::111111111111:assumed-role/{session}", "PrincipalId": f"AROA{role.upper()}:{name}", **more}
    return {"IamIdentity": identity}


class World:
    """The state of the account, and the knobs of a test."""

    def __init__(self, outputs: EnvironmentOutputs | None = None) -> None:
        self.outputs = outputs or make_outputs()
        self.time = self.modified = 1_800_000_000.0
        self.items: dict[str, Answer] = {}
        self.models: dict[str, Answer] = {self.outputs.endpoint.bootstrap_model_name: {}}
        variant = {"VariantName": self.outputs.serving.variant_name, "ModelName": self.outputs.endpoint.bootstrap_model_name}
        self.configs: dict[str, Answer] = {self.outputs.endpoint.bootstrap_config_name: {"ProductionVariants": [variant]}}
        self.alarm_table: dict[str, Answer] = {}
        for name in self.outputs.endpoint.alarm_names:
            self.alarm_table[name] = {"AlarmName": name, "StateValue": "OK", "ActionsEnabled": True}
        self.objects: dict[tuple[str, str], bytes] = {}
        self.packages: dict[str, Answer] = {}
        self.runs: dict[str, Answer] = {}
        self.images: dict[str, Answer] = {}
        self.keys_state: dict[str, str] = {}
        self.live = self.outputs.endpoint.bootstrap_config_name
        self.status = "InService"
        self.desired = self.outputs.serving.instance_count
        self.deployment: dict[str, Any] | None = None
        self.last_deployment: Answer | None = None
        self.updates: list[tuple[str, bool]] = []
        self.exists = True
        # knobs
        self.traffic = 10.0  # requests per second that reach green
        self.green_fails = False
        self.alarm_trips: str | None = None
        self.deaf = False  # alarms roll nothing back
        self.metrics_late = 0.0  # seconds
        self.failure_reason: str | None = None
        self.answers: dict[str, str] = {}
        self.deleted_in_use: list[str] = []

    def add_package(self, version: int, **changes: str) -> str:
        """An approved package with all its evidence; returns its ARN."""
        outputs = self.outputs
        arn = f"{outputs.model_package_group_arn.replace(':model-package-group/', ':model-package/')}/{version}"
        artefact = f"artefact {version}".encode()
        sha = hashlib.sha256(artefact).hexdigest()
        digest = "sha256:" + hashlib.sha256(IMAGE_MANIFEST.encode()).hexdigest()
        image = f"{outputs.repositories.workload.uri}@{digest}"
        bucket = outputs.buckets.artefacts.name
        self.images[digest] = {"manifest": IMAGE_MANIFEST, "media_type": "", "tags": ["one"]}
        self.objects[bucket, f"models/{sha}/model.tar.gz"] = artefact
        folder = f"evidence/{version}"
        subject = {"artefact_sha256": sha, "image": image, "golden_sha256": "a" * 64}
        evaluation = {"applicable": True, "metrics": {"auc": 0.8}, **subject}
        probes = {"requests": [{"content_type": "text/csv", "body": f"row {n}", "answer": f"answer {version} {n}"} for n in range(3)]}
        self.objects[bucket, f"{folder}/evaluation.json"] = json.dumps(evaluation).encode()
        self.objects[bucket, f"{folder}/probes.json"] = json.dumps(probes).encode()
        self.objects[bucket, f"{folder}/gates.json"] = json.dumps({"passed": True, "summary": "all passed", **subject}).encode()
        for probe in probes["requests"]:
            self.answers[f"{arn} {probe['body']}"] = probe["answer"]
        metadata = {
            "workload": "tiny",
            "artefact-sha256": sha,
            "image-digest": digest,
            "data-sha256": "d" * 64,
            "code-sha256": "c" * 64,
            "golden-sha256": "a" * 64,
            "evaluation-uri": f"s3://{bucket}/{folder}/evaluation.json",
            "gates-uri": f"s3://{bucket}/{folder}/gates.json",
            "requested-by": "arn:aws:sts::111111111111:assumed-role/data/asker",
            "promotion-id": f"dev-p{version}-1",
            **changes,
        }
        run = f"arn:aws:sagemaker:us-east-1:{outputs.account_id}:pipeline/{outputs.pipelines.training}/execution/{version}"
        self.packages[arn] = {
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": "Approved",
            "InferenceSpecification": {"Containers": [{"Image": image, "ModelDataUrl": f"s3://{bucket}/models/{sha}/model.tar.gz"}]},
            "CustomerMetadataProperties": metadata,
            "CreatedBy": said_by(f"{outputs.roles.jobs.rpartition('/')[2]}/SageMaker"),
            "MetadataProperties": {"GeneratedBy": run},
        }
        return arn

    def package_of_live(self) -> str:
        model = self.models[self.configs[self.live]["ProductionVariants"][0]["ModelName"]]
        url = model.get("PrimaryContainer", {}).get("ModelDataUrl")
        return next(
            (arn for arn, p in self.packages.items() if p["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == url), "bootstrap"
        )

    # -- the deployment's course --------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time = min(self.time + 5, end)
            self._settle()

    def stage(self) -> tuple[str, float] | None:
        """Stage of the pending deployment and when it began."""
        if self.deployment is None:
            return None
        policy = self.deployment["request"]["BlueGreenUpdatePolicy"]
        bake = policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
        began = self.deployment["began"]
        at = self.time - began
        if at < 30:
            return "Creating", began
        if at < 30 + bake:
            return "Baking", began + 30
        if at < 30 + bake + policy["TerminationWaitInSeconds"]:
            return "Baking", began + 30 + bake
        return "Deleting", began + 30 + bake + policy["TerminationWaitInSeconds"]

    def _settle(self) -> None:
        for alarm in self.alarm_table.values():
            if alarm["StateValue"] == "INSUFFICIENT_DATA" and self.time - alarm["made"] > 60:
                alarm["StateValue"] = "OK"
        if self.deployment is None:
            return
        stage, _ = self.stage() or ("", 0.0)
        target = self.deployment["config"]
        if stage == "Baking":
            if self.green_fails and f"{target}-errors" in self.alarm_table:
                self.alarm_table[f"{target}-errors"]["StateValue"] = "ALARM"
            if self.alarm_trips:
                self.alarm_table[self.alarm_trips]["StateValue"] = "ALARM"
        watched = [a["AlarmName"] for a in self.deployment["request"].get("AutoRollbackConfiguration", {}).get("Alarms", [])]
        if (
            stage != "Creating"
            and not self.deaf
            and any(self.alarm_table[name]["StateValue"] == "ALARM" for name in watched if name in self.alarm_table)
        ):
            self._rest()
            return
        if stage == "Deleting":
            self.live = target
            if not self.deployment["retain"]:
                self.desired = self.configs[target]["ProductionVariants"][0]["InitialInstanceCount"]
            self._rest()

    def _rest(self) -> None:
        self.deployment, self.status, self.modified = None, "InService", self.time

    def start_update(self, config: str, request: Answer, retain: bool) -> None:
        if self.status != "InService":
            raise failure("UpdateEndpoint", "Cannot update in-progress endpoint")
        if config not in self.configs:
            raise failure("UpdateEndpoint", "Could not find endpoint configuration")
        self.updates.append((config, retain))
        self.last_deployment = request
        self.status, self.modified = "Updating", self.time
        self.deployment = {"config": config, "request": request, "retain": retain, "began": self.time}
