"""The endpoint, and the bootstrap release that it comes up with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws.appautoscaling.policy import Policy
from pulumi_aws.appautoscaling.target import Target
from pulumi_aws.s3.bucket_objectv2 import BucketObjectv2
from pulumi_aws.sagemaker.endpoint import Endpoint
from pulumi_aws.sagemaker.endpoint_configuration import EndpointConfiguration
from pulumi_aws.sagemaker.model import Model

from infra.archive import bootstrap_archive
from infra.naming import VARIANT
from infra.outputs import ServingSpec
from infra.site import Site

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@dataclass(frozen=True, kw_only=True)
class ServingArgs:
    """`serving_role_arn` waits for the role's policy; `artefacts_bucket` takes the bootstrap's archive.

    `network` is what the endpoint waits for: without its gateway to S3 no machine could load a model.
    """

    site: Site
    spec: pulumi.Output[ServingSpec]
    serving_role_arn: pulumi.Output[str]
    artefacts_bucket: pulumi.Output[str]
    network: pulumi.Resource


class Serving(pulumi.ComponentResource):
    """A real-time endpoint over two machines or more, scaled by its load.

    Before any model is released it serves the bootstrap: AWS's prebuilt scikit-learn container with a small archive.
    From then on the endpoint config is a release's affair: the endpoint ignores changes of it, and the bootstrap
    model and config ignore changes of their shape, so that an edit of the stack file never replaces a config that
    may be live.

    Attributes:
        endpoint_name: an output that waits for the endpoint to be in service.
    """

    def __init__(self, name: str, args: ServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Serving", name, None, opts)
        self._name, self._args = name, args
        model = self._model()
        config = self._config(model)
        endpoint = Endpoint(
            f"{name}-endpoint",
            name=args.site.names.endpoint,
            endpoint_config_name=config.name,
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=["endpoint_config_name", "deployment_config"], depends_on=[args.network]
            ),
        )
        self.endpoint_name: pulumi.Output[str] = endpoint.name
        self._autoscaling()
        self.register_outputs({"endpoint_name": self.endpoint_name})

    def _frozen(self, *ignored: str) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, ignore_changes=list(ignored))

    def _model(self) -> Model:
        args, archive = self._args, bootstrap_archive()
        upload = BucketObjectv2(
            f"{self._name}-bootstrap-archive",
            bucket=args.artefacts_bucket,
            key=f"bootstrap/{archive.sha256}/model.tar.gz",
            content_base64=archive.content_base64,
            content_type="application/gzip",
            opts=self._frozen("key", "content_base64"),
        )
        return Model(
            f"{self._name}-bootstrap-model",
            name=args.site.names.bootstrap,
            execution_role_arn=args.serving_role_arn,
            enable_network_isolation=True,
            primary_container={
                "image": args.site.config.serving.bootstrap_image,
                "model_data_url": pulumi.Output.concat("s3://", upload.bucket, "/", upload.key),
                "environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
            },
            vpc_config={
                "subnets": args.spec.apply(lambda spec: list(spec.subnet_ids)),
                "security_group_ids": args.spec.apply(lambda spec: list(spec.security_group_ids)),
            },
            opts=self._frozen("execution_role_arn", "enable_network_isolation", "primary_container", "vpc_config"),
        )

    def _config(self, model: Model) -> EndpointConfiguration:
        serving, spec = self._args.site.config.serving, self._args.spec
        variant: Any = {
            "variant_name": VARIANT,
            "model_name": model.name,
            "instance_type": serving.instance_type,
            "initial_instance_count": serving.instance_count,
            "initial_variant_weight": 1,
            "container_startup_health_check_timeout_in_seconds": serving.startup_timeout_seconds,
        }
        capture: Any = {
            "enable_capture": serving.data_capture.enabled,
            "initial_sampling_percentage": serving.data_capture.sampling_percentage,
            "destination_s3_uri": spec.apply(lambda each: each.data_capture.destination_s3_uri),
            "kms_key_id": spec.apply(lambda each: each.data_capture.kms_key_arn),
            "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
            "capture_content_type_header": {
                "csv_content_types": list(serving.data_capture.csv_content_types),
                "json_content_types": list(serving.data_capture.json_content_types),
            },
        }
        return EndpointConfiguration(
            f"{self._name}-bootstrap-config",
            name=self._args.site.names.bootstrap,
            kms_key_arn=spec.apply(lambda each: each.volume_kms_key_arn),
            production_variants=[variant],
            data_capture_config=capture,
            opts=self._frozen("kms_key_arn", "production_variants", "data_capture_config"),
        )

    def _autoscaling(self) -> None:
        scaling, child = self._args.site.config.serving.autoscaling, pulumi.ResourceOptions(parent=self)
        target = Target(
            f"{self._name}-capacity",
            service_namespace="sagemaker",
            resource_id=pulumi.Output.concat("endpoint/", self.endpoint_name, "/variant/", VARIANT),
            scalable_dimension=_DIMENSION,
            min_capacity=scaling.minimum,
            max_capacity=scaling.maximum,
            opts=child,
        )
        Policy(
            f"{self._name}-scaling",
            name=self._args.site.names.alarm("invocations"),
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            resource_id=target.resource_id,
            scalable_dimension=target.scalable_dimension,
            target_tracking_scaling_policy_configuration={
                "predefined_metric_specification": {"predefined_metric_type": "SageMakerVariantInvocationsPerInstance"},
                "target_value": scaling.target_invocations_per_instance,
                "scale_in_cooldown": scaling.scale_in_cooldown_seconds,
                "scale_out_cooldown": scaling.scale_out_cooldown_seconds,
            },
            opts=child,
        )
