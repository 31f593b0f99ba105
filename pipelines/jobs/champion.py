"""Champion: what serves now, read from the endpoint itself.

in: environment · out: champion/champion.json

There is no champion only while the endpoint serves its bootstrap release and the ledger holds no release. Anything else that
can't be read in full is an error: a champion that is missing must not let a candidate through.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

import boto3

from infra.errors import IntegrityError, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.jobs.place import environment_outputs, output_folder, run_processing, write_json

RELEASES = "releases/"
_CONTENT_ADDRESS = re.compile(r"s3://[^/]+/models/([0-9a-f]{64})/model\.tar\.gz")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidate-image", required=True)
    parser.add_argument("--candidate-model-uri", required=True)
    options = parser.parse_args(arguments)
    outputs = environment_outputs()
    record = determine(
        boto3.Session(region_name=outputs.region),
        outputs,
        candidate_image=options.candidate_image,
        candidate_model_uri=options.candidate_model_uri,
    )
    write_json(output_folder("champion") / "champion.json", record)
    print(f"champion: {record['kind']} {record['model_package_arn']}")


def determine(session: Any, outputs: EnvironmentOutputs, *, candidate_image: str, candidate_model_uri: str) -> dict[str, str]:
    """The champion's record: kind, image, model_uri, model_package_arn, artefact_sha256.

    Where kind is "none", image and model are the candidate's own: the step that evaluates the champion needs an image that
    exists, and then says that it does not apply.

    Raises:
        PreflightError: the endpoint serves its bootstrap release although the ledger knows releases.
        IntegrityError: what serves is no release of ours, by digest and content address.
    """
    sagemaker = session.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=outputs.endpoint.name)
    config_name = endpoint["EndpointConfigName"]
    if config_name == outputs.endpoint.bootstrap_config_name:
        if _released_before(session, outputs):
            raise PreflightError(
                "the endpoint serves its bootstrap release, but the ledger knows releases: the champion is missing",
                where=outputs.endpoint.name,
                remedy="Put the last release back with `lockstep restore`.",
            )
        return {
            "kind": "none",
            "image": candidate_image,
            "model_uri": candidate_model_uri,
            "model_package_arn": "",
            "artefact_sha256": "",
        }
    config = sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    container: dict[str, Any] = model.get("PrimaryContainer") or next(iter(model.get("Containers", [])), {})
    package = str(container.get("ModelPackageName", ""))
    if package:
        described = sagemaker.describe_model_package(ModelPackageName=package)["InferenceSpecification"]["Containers"][0]
        container = {**container, "Image": described["Image"], "ModelDataUrl": described["ModelDataUrl"]}
    image, model_uri = str(container.get("Image", "")), str(container.get("ModelDataUrl", ""))
    address = _CONTENT_ADDRESS.fullmatch(model_uri)
    if "@sha256:" not in image or address is None:
        raise IntegrityError(f"what serves is not pinned: image {image or 'unknown'}, model {model_uri or 'unknown'}", where=config_name)
    return {
        "kind": "release",
        "image": image,
        "model_uri": model_uri,
        "model_package_arn": package or _tag(sagemaker, model["ModelArn"], "model-package"),
        "artefact_sha256": address.group(1),
    }


def _released_before(session: Any, outputs: EnvironmentOutputs) -> bool:
    answer = session.client("s3").list_objects_v2(Bucket=outputs.buckets.ledger.name, Prefix=RELEASES, MaxKeys=1)
    return int(answer["KeyCount"]) > 0


def _tag(sagemaker: Any, arn: str, key: str) -> str:
    tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == key), "")


if __name__ == "__main__":
    run_processing(main)
