"""What an endpoint config of an environment looks like apart from the model in it.

The bootstrap config is made from it by Pulumi, and every later one by a release, which reads it from the outputs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from infra.naming import VARIANT
from infra.outputs import DataCaptureSpec, ServingSpec
from infra.site import Site

# The API refuses a volume key for machines with local NVMe storage, which is encrypted by the hardware.
_LOCAL_STORAGE = re.compile(r"^ml\.(g5|g6|p5|trn|[a-z]+[0-9]+[a-z]*d)[a-z0-9]*\.")


def serving_spec(site: Site, *, data_key_arn: str, subnet_ids: Sequence[str], security_group_id: str) -> ServingSpec:
    """Renders the spec.

    Args:
        site: the environment.
        data_key_arn: the key of volumes and captured requests.
        subnet_ids: where model containers run.
        security_group_id: the group that they are in.
    """
    serving, names = site.config.serving, site.names
    return ServingSpec(
        variant_name=VARIANT,
        instance_type=serving.instance_type,
        instance_count=serving.instance_count,
        startup_timeout_seconds=serving.startup_timeout_seconds,
        execution_role_arn=names.role_arn("serving"),
        volume_kms_key_arn=None if has_local_storage(serving.instance_type) else data_key_arn,
        subnet_ids=tuple(subnet_ids),
        security_group_ids=(security_group_id,),
        enable_network_isolation=True,
        data_capture=DataCaptureSpec(
            enabled=serving.data_capture.enabled,
            sampling_percentage=serving.data_capture.sampling_percentage,
            destination_s3_uri=f"s3://{names.bucket('capture')}/requests",
            kms_key_arn=data_key_arn,
            csv_content_types=serving.data_capture.csv_content_types,
            json_content_types=serving.data_capture.json_content_types,
        ),
        environment={},
    )


def has_local_storage(instance_type: str) -> bool:
    """Whether machines of this type keep their volume on local NVMe storage."""
    return _LOCAL_STORAGE.match(instance_type) is not None
