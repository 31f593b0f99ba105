"""Takes an environment's releases away, so that its stack can be destroyed."""

from __future__ import annotations

from typing import Any

import boto3

from infra.errors import ConflictError, OutcomeUnknown
from infra.outputs import EnvironmentOutputs
from pipelines.promotion import cleanup, render
from pipelines.promotion.decisions import IN_PROGRESS, EndpointView, is_live
from pipelines.promotion.pace import Pace
from pipelines.promotion.resources import view_of
from pipelines.promotion.seam import Aws


def remove_releases(session: boto3.Session, outputs: EnvironmentOutputs) -> list[str]:
    """Put the endpoint back on its bootstrap release; delete all releases' models, endpoint configs and alarms, and the model packages.

    An endpoint that can't be updated any more (Failed) is left to the stack's own destruction. What is gone already is no error.

    Returns:
        Names of what was deleted.

    Raises:
        ConflictError: a deployment is under way.
        OutcomeUnknown: the endpoint did not come back on bootstrap.
    """
    aws = Aws(session, table=outputs.promotion.journal_table_name)
    view = _look(aws, outputs)
    bootstrap = outputs.endpoint.bootstrap_config_name
    if view is not None and (view.status in IN_PROGRESS or view.pending_config):
        raise ConflictError(f"it is {view.status}", where=f"endpoint {outputs.endpoint.name}", remedy="Wait until it is InService.")
    if view is not None and view.status == "InService" and view.config != bootstrap:
        aws.update_endpoint(outputs.endpoint.name, config=bootstrap, deployment=render.revert_config(outputs.rollout), retain=False)
        view = _await(aws, outputs, bootstrap)
    gone = cleanup.sweep(aws, outputs, view if view is not None and view.status == "InService" else None)
    return gone + _remove_packages(aws.client("sagemaker"), outputs.model_package_group_name)


def _look(aws: Aws, outputs: EnvironmentOutputs) -> EndpointView | None:
    described = aws.endpoint(outputs.endpoint.name)
    return view_of(described) if described else None


def _await(aws: Aws, outputs: EnvironmentOutputs, config: str) -> EndpointView:
    pace, began = Pace(aws), aws.now
    while True:
        view = _look(aws, outputs)
        if view is not None and is_live(view, config):
            return view
        settled = view is None or (view.status not in IN_PROGRESS and aws.now - began > 60)
        if settled or aws.now - began > outputs.rollout.maximum_execution_timeout_seconds + 1800:
            raise OutcomeUnknown(
                "it did not come back on its bootstrap release",
                where=f"endpoint {outputs.endpoint.name}",
                remedy="Look at its FailureReason.",
            )
        pace.pause()


def _remove_packages(sagemaker: Any, group: str) -> list[str]:
    try:
        pages = list(sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group))
    except sagemaker.exceptions.ClientError as error:
        if "does not exist" in str(error) or "Could not find" in str(error):
            return []
        raise
    gone = []
    for package in [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]:
        sagemaker.delete_model_package(ModelPackageName=package)
        gone.append(package)
    return gone
