"""Is there what a run needs, before it is started? A pipeline that fails on its first step says less, and later, than a look beforehand.

The images are those that the deployed pipeline names, which may be others than those of the present source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.errors import PreflightError

if TYPE_CHECKING:
    from lockstep.promotions import Place

_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.[^/]+/([^@]+)@(sha256:[0-9a-f]{64})")


def check_images(at: Place, pipeline: str) -> str | None:
    """Refuse where an image of the environment's own repositories that a pipeline names is missing; say why it can't be told, or None.

    Raises:
        PreflightError: the environment does not have the image.
    """
    outputs, ecr = at.outputs, at.session.client("ecr")
    definition = json.loads(at.sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineDefinition"])
    for uri in sorted(set(_images(definition))):
        named = _IMAGE.fullmatch(uri)
        if named is None or named[1] != outputs.account_id:
            continue
        try:
            ecr.describe_images(repositoryName=named[2], imageIds=[{"imageDigest": named[3]}])
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ImageNotFoundException", "RepositoryNotFoundException"):
                return f"it could not be checked whether {outputs.environment} has the image {uri}: {error}"
            option = " --toolkit" if named[2] == outputs.repositories.toolkit.name else ""
            raise PreflightError(
                f"{outputs.environment} does not have the image that {pipeline} runs: {named[3][:19]}",
                where=f"repository {named[2]}",
                remedy=f"Push it with `lockstep image push {outputs.environment}{option}`. Nothing was started.",
            ) from error
    return None


def check_ledger(at: Place, operation: str) -> None:
    """Refuse an operation that takes its package from the ledger where that knows none. One that was begun is taken up by a new run.

    Raises:
        PreflightError: there is no release, or, for a rollback, none before the present one.
    """
    from pipelines.promotion.evidence import former
    from pipelines.promotion.journal import Journal

    holder = Journal(at.aws, endpoint=at.outputs.endpoint.name, lease_seconds=1, run=operation).holder()
    if holder is not None and holder.operation == operation and not holder.finished:
        return
    releases, where = at.ledger.releases(), f"ledger of {at.outputs.environment}"
    if not releases:
        raise PreflightError("the ledger knows no release", where=where, remedy="Promote a package first. Nothing was started.")
    if operation == "rollback":
        former(releases, where)


def _images(value: Any) -> Iterator[str]:
    """Every ImageUri in a definition that is not a parameter."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "ImageUri" and isinstance(each, str):
                yield each
            else:
                yield from _images(each)
    elif isinstance(value, list):
        for each in value:
            yield from _images(each)
