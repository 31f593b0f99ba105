"""Models, endpoint configs and endpoints of one account and region: the rules of their operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from local.cloud.autoscaling import scaler_of
from local.cloud.aws_errors import not_implemented
from local.cloud.containers.images import ImageError, ImageReference
from local.cloud.context import caller
from local.cloud.ecr.backend import manifest_type
from local.cloud.iam.rights import check_volume
from local.cloud.quotas.store import backends as quotas
from local.cloud.quotas.store import fleet
from local.cloud.sagemaker.base import SageMakerBase, validation
from local.cloud.shape_checks import message, violations
from local.errors import RoleNotAssumable

from .limits import deployment_problems, variant_problems
from .listing import listed
from .plan import policy_of
from .records import ConfigRecord, EndpointRecord, ModelRecord, Pending, VariantState
from .role_checks import check_alarms, check_data
from .serving import Serving
from .switches import DEFAULTS, Switches

BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class EndpointOps(SageMakerBase):
    """Part of SageMaker's backend."""

    _models: dict[str, ModelRecord]
    endpoint_configs: dict[str, ConfigRecord]
    endpoints: dict[str, EndpointRecord]

    @property
    def switches(self) -> Switches:
        """The undocumented behaviour of this cloud's endpoints; tests may set another."""
        return getattr(self.cloud, "endpoint_switches", DEFAULTS)

    @property
    def servings(self) -> dict[str, Serving]:
        """Live endpoints by name."""
        found: dict[str, Serving] = self.__dict__.setdefault("_servings", {})
        return found

    # models

    def create_model(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("CreateModel", given)
        name = given["ModelName"]
        if bool(given.get("PrimaryContainer")) == bool(given.get("Containers")):
            raise validation("You must specify exactly one of PrimaryContainer and Containers.")
        containers = [given["PrimaryContainer"]] if given.get("PrimaryContainer") else given["Containers"]
        if len(containers) > 1:
            raise not_implemented("sagemaker", "CreateModel with an inference pipeline of several containers")
        container = containers[0]
        if container.get("Mode") == "MultiModel":
            raise not_implemented("sagemaker", "CreateModel with Mode MultiModel")
        if not container.get("Image") and not container.get("ModelPackageName"):
            raise validation("A container needs an Image or a ModelPackageName.")
        self._check_role(given.get("ExecutionRoleArn"))
        check_data(self.cloud, self.account_id, self.region_name, given.get("ExecutionRoleArn"), container)
        _check_manifest(container.get("Image"))
        with self.lock:
            arn = self.arn("model", name.lower())
            if name in self._models:
                raise validation(f'Cannot create already existing model "{arn}".')
            self._models[name] = ModelRecord(arn, given, self.now(), list(given.get("Tags") or []))
        return {"ModelArn": arn}

    def describe_model(self, name: str) -> dict[str, Any]:
        return self._model(name).describe()

    def delete_model(self, name: str) -> None:
        with self.lock:
            self._model(name)
            del self._models[name]

    def list_models(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("ListModels", given)
        items = [{"ModelName": m.name, "ModelArn": m.arn, "CreationTime": m.created} for m in self._models.values()]
        return listed("Models", items, given, "ModelName")

    def _model(self, name: str) -> ModelRecord:
        model = self._models.get(name)
        if model is None:
            raise validation(f'Could not find model "{self.arn("model", name.lower())}".')
        return model

    # endpoint configs

    def create_endpoint_config(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("CreateEndpointConfig", given)
        name, variants = given["EndpointConfigName"], given["ProductionVariants"]
        for absent in ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig"):
            if given.get(absent):
                raise not_implemented("sagemaker", f"CreateEndpointConfig with {absent}")
        _check_variants(variants)
        for variant in variants:
            self._model(variant["ModelName"])
        with self.lock:
            arn = self.arn("endpoint-config", name.lower())
            if name in self.endpoint_configs:
                raise validation(f'Cannot create already existing endpoint configuration "{arn}".')
            self.endpoint_configs[name] = ConfigRecord(arn, given, self.now(), list(given.get("Tags") or []))
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, name: str) -> dict[str, Any]:
        return self._config(name).describe()

    def delete_endpoint_config(self, name: str) -> None:
        """Deletes a config, also one that an endpoint uses: AWS accepts that, and later updates of the endpoint fail."""
        with self.lock:
            self._config(name)
            del self.endpoint_configs[name]

    def list_endpoint_configs(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("ListEndpointConfigs", given)
        items = [
            {"EndpointConfigName": c.name, "EndpointConfigArn": c.arn, "CreationTime": c.created} for c in self.endpoint_configs.values()
        ]
        return listed("EndpointConfigs", items, given, "EndpointConfigName")

    def _config(self, name: str) -> ConfigRecord:
        config = self.endpoint_configs.get(name)
        if config is None:
            raise validation(f'Could not find endpoint configuration "{self.arn("endpoint-config", name.lower())}".')
        return config

    # endpoints

    def create_endpoint(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("CreateEndpoint", given)
        name = given["EndpointName"]
        with self.lock:
            arn = self.arn("endpoint", name.lower())
            if name in self.endpoints:
                raise validation(f'Cannot create already existing endpoint "{arn}".')
            config = self._config(given["EndpointConfigName"])
            check_volume(self.cloud, caller(), None, self.region_name, config.given.get("KmsKeyId"))
            models = self._models_of(config)
            states = _states(config)
            self._refuse(deployment_problems(given.get("DeploymentConfig"), {n: s.desired_count for n, s in states.items()}))
            self._within_quotas(config, {n: s.desired_count for n, s in states.items()})
            now = self.now()
            record = EndpointRecord(arn, name, config, now, now, "Creating", states, list(given.get("Tags") or []))
            record.deployment_config = given.get("DeploymentConfig")
            self.endpoints[name] = record
            serving = self.servings[name] = Serving(self.cloud, self.account_id, self.region_name, record, self.switches)
        serving.create(models)
        return {"EndpointArn": arn}

    def update_endpoint(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("UpdateEndpoint", given)
        with self.lock:
            record = self._endpoint(given["EndpointName"])
            self._refuse_busy(record)
            if record.status == "Failed":
                raise validation(f'Cannot update failed endpoint "{record.arn}".')
            config = self._config(given["EndpointConfigName"])
            self._config(record.config_name)  # deleted although in use: the update can't be planned, nor taken back
            check_volume(self.cloud, caller(), None, self.region_name, config.given.get("KmsKeyId"))
            models = self._models_of(config)
            deployment = given.get("DeploymentConfig")
            if deployment is None and given.get("RetainDeploymentConfig"):
                deployment = record.deployment_config
            if self.switches.unseen_alarm == "refuse":
                check_alarms(self.cloud, self.account_id, self.region_name, models.values(), deployment)
            retained = _retained(given)
            states = _states(config, record, retained)
            counts = {n: s.desired_count for n, s in record.variants.items()}
            self._refuse(variant_problems(record.config.variants, config.variants, policy_of(deployment)[0]))
            self._refuse(deployment_problems(deployment, counts))
            self._refuse_scaled(record, config)
            if policy_of(deployment)[0] != "ROLLING":  # which makes room for each batch before the next
                self._within_quotas(config, {n: s.desired_count for n, s in states.items()})
            record.deployment_config = deployment
            serving = self.servings[record.name]
            serving.update(config, models, Pending(config, self.now(), states), deployment)
        return {"EndpointArn": record.arn}

    def update_endpoint_weights_and_capacities(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("UpdateEndpointWeightsAndCapacities", given)
        with self.lock:
            record = self._endpoint(given["EndpointName"])
            self._refuse_busy(record)
            if record.status == "Failed":
                raise validation(f'Cannot update failed endpoint "{record.arn}".')
            if record.status == "UpdateRollbackFailed":  # two configs serve; only UpdateEndpoint makes one fleet of them again
                raise validation(
                    f'Cannot update weights and capacities of endpoint "{record.arn}" while it is UpdateRollbackFailed. Use UpdateEndpoint.'
                )
            changes: dict[str, tuple[int | None, float | None]] = {}
            for change in given["DesiredWeightsAndCapacities"]:
                name = change["VariantName"]
                if name in changes:
                    raise validation(f'The variant name "{name}" was non-unique within the request.')
                if name not in record.variants:
                    raise validation(
                        f'The variant name(s) "{name}" is/are not present within endpoint configuration "{record.config_name}".'
                    )
                changes[name] = (change.get("DesiredInstanceCount"), change.get("DesiredWeight"))
            more = {n: (count or 0) - record.variants[n].desired_count for n, (count, _) in changes.items() if count is not None}
            self._within_quotas(record.config, more)
            self.servings[record.name].resize(changes)
        return {"EndpointArn": record.arn}

    def describe_endpoint(self, name: str) -> dict[str, Any]:
        from .describe import describe

        record = self._endpoint(name)
        return describe(record, self.servings[name])

    def delete_endpoint(self, name: str) -> None:
        with self.lock:
            record = self._endpoint(name)
            self._refuse_busy(record)
            serving = self.servings[name]

            def gone() -> None:
                with self.lock:
                    if self.servings.get(name) is serving:
                        self.endpoints.pop(name, None)
                        self.servings.pop(name, None)

            serving.delete(gone)

    def list_endpoints(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check("ListEndpoints", given)
        items = [
            {
                "EndpointName": e.name,
                "EndpointArn": e.arn,
                "CreationTime": e.created,
                "LastModifiedTime": e.modified,
                "EndpointStatus": e.status,
            }
            for e in self.endpoints.values()
        ]
        if given.get("StatusEquals"):
            items = [i for i in items if i["EndpointStatus"] == given["StatusEquals"]]
        return listed("Endpoints", items, given, "EndpointName")

    def _within_quotas(self, config: ConfigRecord, asked: Mapping[str, int]) -> None:
        """ResourceLimitExceeded where the account's quotas leave no room for so many instances more, by variant. Call it locked."""
        used: Counter[str] = Counter()
        for record in self.endpoints.values():
            used += fleet(record.config.variants, {n: s.desired_count for n, s in record.variants.items()})
            if record.pending is not None:
                used += fleet(record.pending.config.variants, {n: s.desired_count for n, s in record.pending.variants.items()})
        quotas[self.account_id][self.region_name].check(used, fleet(config.variants, asked))

    def _endpoint(self, name: str) -> EndpointRecord:
        record = self.endpoints.get(name)
        if record is None:
            raise validation(f'Could not find endpoint "{self.arn("endpoint", name.lower())}".')
        return record

    def _refuse_busy(self, record: EndpointRecord) -> None:
        if record.status in BUSY:
            raise validation(f'Cannot update in-progress endpoint "{record.arn}".')

    def _get_resource_from_arn(self, arn: str) -> Any:
        """A resource by its ARN, in which the names of models, configs and endpoints are in small letters."""
        ours: list[Any] = [*self._models.values(), *self.endpoint_configs.values(), *self.endpoints.values()]
        found = next((r for r in ours if r.arn == arn), None)
        return found if found is not None else super()._get_resource_from_arn(arn)  # type: ignore[misc]

    def _refuse_scaled(self, record: EndpointRecord, config: ConfigRecord) -> None:
        """A variant that Application Auto Scaling scales keeps its instance type (guide: "Update endpoints that use auto scaling")."""
        targets = scaler_of(self.cloud).of(self.account_id, self.region_name).targets
        changed = [n for n, old in record.config.variants.items() if config.variants[n].get("InstanceType") != old.get("InstanceType")]
        if scaled := [name for name in changed if f"endpoint/{record.name}/variant/{name}" in targets]:
            raise validation(
                f'The variant(s) "{", ".join(scaled)}" must be deregistered as scalable targets with AWS Auto Scaling '
                "before they can be removed or have their instance type updated."
            )

    def _models_of(self, config: ConfigRecord) -> dict[str, ModelRecord]:
        return {name: self._model(variant["ModelName"]) for name, variant in config.variants.items()}

    def _check(self, operation: str, given: Mapping[str, Any]) -> None:
        found = violations("sagemaker", operation, given)
        if found:
            raise validation(message(found))

    def _check_role(self, role: str | None) -> None:
        if role is not None:
            try:
                self.cloud.check_assumable(role)
            except RoleNotAssumable as error:
                raise validation(error.message) from error

    @staticmethod
    def _refuse(problems: Any) -> None:
        for problem in problems:
            raise validation(problem)


def _check_variants(variants: list[dict[str, Any]]) -> None:
    names = [v["VariantName"] for v in variants]
    if len(set(names)) != len(names):
        raise validation("Production variant names must be unique within an endpoint configuration.")
    for variant in variants:
        name = variant["VariantName"]
        if variant.get("ServerlessConfig"):
            raise not_implemented("sagemaker", "CreateEndpointConfig with ServerlessConfig")
        if variant.get("InstancePools") or variant.get("ManagedInstanceScaling"):
            raise not_implemented("sagemaker", "CreateEndpointConfig with InstancePools or ManagedInstanceScaling")
        if not variant.get("ModelName"):
            raise not_implemented("sagemaker", "CreateEndpointConfig for inference components")
        if not variant.get("InstanceType"):
            raise validation(f"InstanceType must be specified for production variant {name}.")
        if not variant.get("InitialInstanceCount"):
            raise validation(f"InitialInstanceCount must be specified for production variant {name}.")


def _retained(given: Mapping[str, Any]) -> set[str]:
    if not given.get("RetainAllVariantProperties"):
        return set()
    excluded = {p["VariantPropertyType"] for p in given.get("ExcludeRetainedVariantProperties") or []}
    return {"DesiredInstanceCount", "DesiredWeight"} - excluded


def _states(config: ConfigRecord, old: EndpointRecord | None = None, retained: set[str] | None = None) -> dict[str, VariantState]:
    states = {}
    for name, variant in config.variants.items():
        weight = variant.get("InitialVariantWeight")
        state = VariantState(name, int(variant["InitialInstanceCount"]), 1.0 if weight is None else float(weight))
        before = old.variants.get(name) if old else None
        if before is not None and "DesiredInstanceCount" in (retained or ()):
            state.desired_count = before.desired_count
        if before is not None and "DesiredWeight" in (retained or ()):
            state.desired_weight = before.desired_weight
        states[name] = state
    return states


def _check_manifest(uri: str | None) -> None:
    """Models take images with Docker's manifests alone, as users of CreateModel report it; ECR keeps OCI's as well."""
    try:
        image = ImageReference.parse(uri or "")
    except ImageError:
        return
    found = manifest_type(image.account, image.region, image.repository, image.image_id)
    if found is not None and found.startswith("application/vnd.oci."):
        raise validation(
            f"Unsupported manifest media type {found} for image {uri}. Ensure that valid manifest media type is used for specified image."
        )
