"""The order of a teardown: refuse, or remove releases, then contents, then the stack. Each step finds done what an earlier run did."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, WaiterError

from infra.config import Stack
from infra.errors import ConflictError, LockstepError, PreflightError
from infra.naming import KeyPurpose, Names
from lockstep.teardown import holdings

if TYPE_CHECKING:
    import boto3

    from lockstep.shell import Variables

Say = Callable[[str], None]

# Deleting an endpoint ends its instances; the service takes minutes at most, and the wait ends with it.
_DELETION = {"Delay": 5, "MaxAttempts": 240}


def check_disposable(stack: Stack, session: boto3.Session, names: Names) -> None:
    """Refuses what the stack file does not call disposable. PreflightError, which lists what would be lost."""
    if stack.config.disposable:
        return
    lost = [str(holding) for holding in holdings.count(session, names)] or ["its stack's resources"]
    raise PreflightError(
        f"{stack.name} is not disposable. It would lose:\n" + "\n".join(f"  - {line}" for line in lost),
        where=f"{stack.label}, lockstep:environment.disposable",
        remedy="Nothing was changed. To take it down all the same, set disposable: true, deploy that, and try again.",
    )


def remove_releases(session: boto3.Session, environment: str, say: Say) -> list[str]:
    """Deletes the endpoint, and then what releases made for it: models, endpoint configs, alarms. Names of what went.

    The endpoint is Pulumi's, and goes first here: a config in use must not be deleted under it.

    Raises:
        ConflictError: the endpoint is being changed.
    """
    from lockstep.context import NotDeployed, outputs
    from pipelines.promotion.cleanup import sweep
    from pipelines.promotion.seam import Aws

    try:
        found = outputs(environment)
    except NotDeployed:
        say("Nothing is deployed that could have releases.")
        return []
    sagemaker, gone = session.client("sagemaker"), []
    status = _endpoint_status(session, found.endpoint.name)
    if status is not None:
        if status not in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed", "Deleting"):
            raise ConflictError(
                f"the endpoint is {status}: somebody is changing it", where=found.endpoint.arn, remedy="Wait until it is InService."
            )
        if status != "Deleting":
            sagemaker.delete_endpoint(EndpointName=found.endpoint.name)
        try:
            sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=found.endpoint.name, WaiterConfig=_DELETION)
        except WaiterError as error:
            raise LockstepError(f"the endpoint is not gone: {error}", where=found.endpoint.arn) from error
        gone.append(found.endpoint.name)
    gone += sweep(Aws(session, table=found.promotion.journal_table_name), found, None)
    say(f"Removed {len(gone)} resources of releases." if gone else "No releases were left.")
    return gone


def _endpoint_status(session: boto3.Session, name: str) -> str | None:
    try:
        status: str = session.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
            raise
        return None
    return status


def destroy(stack_name: str, variables: Variables, root: str, show: bool) -> None:
    """`pulumi destroy`. Its own output is shown as it comes, or kept for the error."""
    command = ["pulumi", "destroy", "--stack", stack_name, "--yes", "--skip-preview", "--non-interactive", "--refresh"]
    done = subprocess.run(
        command,
        cwd=root,
        env=variables.environment(),
        stdin=subprocess.DEVNULL,
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "" if show else ": " + "\n".join((done.stdout or "").strip().splitlines()[-20:])
        raise LockstepError(
            f"pulumi destroy did not finish{said}",
            where=f"stack {stack_name}",
            remedy="Run `lockstep teardown` again: it goes on where it stopped.",
        )


def pending_keys(session: boto3.Session, names: Names, purposes: tuple[KeyPurpose, ...]) -> list[str]:
    """Aliases of the environment's keys that are still there and not pending deletion: none after a whole teardown."""
    kms, left = session.client("kms"), []
    for purpose in purposes:
        try:
            state = kms.describe_key(KeyId=names.key_alias(purpose))["KeyMetadata"]["KeyState"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NotFoundException":
                raise
            continue
        if state != "PendingDeletion":
            left.append(names.key_alias(purpose))
    return left
