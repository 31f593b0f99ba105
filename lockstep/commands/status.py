"""`lockstep status`: what serves where, since when, and what is under way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import LockstepError
from lockstep.context import Json, NotDeployed, console, emit, stack, stacks_folder
from lockstep.failures import explain

if TYPE_CHECKING:
    from lockstep.promotions import Place

REFUSALS = 5
"""How many of the latest refusals are shown of each environment."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def status(
    environment: Annotated[str, typer.Argument(metavar="[ENV]", help="An environment; left out, all that have a stack file.")] = "",
    as_json: Json = False,
) -> None:
    """Show what serves in each environment, since when, what is under way, and what was refused.

    Of each environment the latest refusals are shown: which candidate, at which step, why, and who had asked. Without ENV, one that
    can't be reached is shown as such beside the others.

    Exit codes: 0 done, 1 nothing could be told.

    \b
    Example: lockstep status
    """
    from infra.config import stack_names

    rows = [_row(name, alone=bool(environment)) for name in ([environment] if environment else stack_names(stacks_folder()))]
    rows.sort(key=lambda row: str(row["account_id"]))
    if as_json:
        emit(rows)
    else:
        _show(rows)
    if rows and all("error" in row for row in rows):
        raise typer.Exit(1)


def _row(name: str, *, alone: bool) -> dict[str, Any]:
    """An environment's row. A stack file that is wrong is an error, and so is what keeps from an environment that was asked for by name;
    else an environment that is not deployed, or can't be reached, is a row that says so beside the others."""
    from botocore.exceptions import BotoCoreError, ClientError

    from lockstep import promotions

    row = {"environment": name, "account_id": stack(name).config.account_id}
    try:
        return describe(promotions.place(name))
    except NotDeployed as error:
        if alone:
            raise
        return {**row, "endpoint_status": error.message}
    except (LockstepError, BotoCoreError, ClientError) as error:
        told = explain(error)
        if alone or told is None:
            raise
        return {**row, "endpoint_status": "can't be told", "error": told.document()}


def describe(at: Place) -> dict[str, Any]:
    """One environment's row: what AWS and the ledger say now."""
    from pipelines import registry
    from pipelines.promotion import refusals
    from pipelines.promotion.decisions import is_live
    from pipelines.promotion.journal import Journal
    from pipelines.promotion.resources import view_of

    outputs, aws = at.outputs, at.aws
    described = aws.endpoint(outputs.endpoint.name)
    view = view_of(described) if described else None
    latest = at.ledger.latest()
    holder = Journal(aws, endpoint=outputs.endpoint.name, lease_seconds=1, run="status").holder()
    entry = Journal(aws, endpoint=outputs.endpoint.name, lease_seconds=1, run="status").load(holder.promotion) if holder else None
    serves = "nothing"
    if view is not None:
        serves = "bootstrap" if view.config == outputs.endpoint.bootstrap_config_name else "not in the ledger"
        if latest is not None and view.config == latest.endpoint_config:
            serves = f"version {latest.model_package_arn.rpartition('/')[2]}"
    live = latest if latest is not None and view is not None and is_live(view, latest.endpoint_config) else None
    return {
        "environment": outputs.environment,
        "account_id": outputs.account_id,
        "serves": serves,
        "model_package_arn": live.model_package_arn if live else None,
        "artefact_sha256": live.artefact_sha256 if live else None,
        "image_digest": live.image_digest if live else None,
        "gates": registry.describe(at.sagemaker, live.model_package_arn).gates if live else None,
        "since": datetime.fromtimestamp(live.at, UTC).isoformat(timespec="seconds") if live else None,
        "endpoint_status": view.status if view else "no endpoint",
        "endpoint_config": view.config if view else None,
        "instances": view.desired_count if view else None,
        "pending": view.pending_config if view else None,
        "last_promotion": holder.promotion if holder else None,
        "last_outcome": _outcome(holder.finished, entry.outcome if entry else None) if holder else None,
        "refusals": refusals.newest(aws, outputs.buckets.ledger.name, REFUSALS),
        "under_way": holder.run if holder and not holder.finished else None,
    }


def _outcome(finished: bool, outcome: dict[str, Any] | None) -> str:
    if outcome is not None:
        return str(outcome["ending"])
    return "stopped before anything changed" if finished else "under way"


def _show(rows: list[dict[str, Any]]) -> None:
    from lockstep import tables

    columns = ("environment", "serves", "artefact", "image", "gates", "since", "endpoint", "instances", "last promotion")
    tables.show(console, columns, [_cells(row) for row in rows])
    for row in rows:
        if error := row.get("error"):
            console.print(f"\n{row['environment']}: {error['message']}" + (f"\n  {error['remedy']}" if "remedy" in error else ""))
        for refused in row.get("refusals", ()):
            console.print(_refusal(row["environment"], refused))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["environment"],
        row.get("serves", ""),
        (row.get("artefact_sha256") or "")[:12],
        (row.get("image_digest") or "").removeprefix("sha256:")[:12],
        row.get("gates") or "",
        row.get("since") or "",
        row["endpoint_status"] + (f" -> {row['pending']}" if row.get("pending") else ""),
        str(row.get("instances") or ""),
        f"{row['last_promotion']}: {row['last_outcome']}" if row.get("last_promotion") else "",
    )


def _refusal(environment: str, refused: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(refused["at"], UTC).isoformat(timespec="seconds")
    package = refused.get("source_model_package_arn") or refused.get("model_package_arn") or "nothing known"
    people = ", ".join(who.get("arn") or who["principal_id"] for who in refused["requested_by"])
    claimed = f"{refused['requested_by_claimed']} (claimed)" if refused["requested_by_claimed"] else "nobody known"
    what = f"{refused['step']}: {refused['message']}"
    return f"\n{environment} refused {package}\n  {at}, {what}\n  asked by {people or claimed}; {refused['evidence']}"
