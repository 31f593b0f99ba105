"""`lockstep data`: a workload's data and golden set, brought into an environment."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lockstep.context import EnvironmentName, Json, console, emit, outputs, session

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Bring a workload's data and golden set into an environment."
)


@app.callback()
def group() -> None:
    """Bring a workload's data and golden set into an environment."""


@app.command()
def push(
    environment: EnvironmentName,
    workload: Annotated[str, typer.Argument(help="Folder name under workloads/; left out, the environment's own.")] = "",
    as_json: Json = False,
) -> None:
    """Export a workload's data and golden set, and upload both under their digests. What is there is not sent again.

    \b
    Example: lockstep data push dev mortgage
    """
    from lockstep import datasets

    found = outputs(environment)
    used = session(environment)
    pushed = [datasets.push(used, found, file) for file in datasets.export(workload or found.workload)]
    if as_json:
        emit([asdict(each) for each in pushed])
        return
    for each in pushed:
        console.print(f"{each.kind:<9} {each.rows:>6,} rows  {each.sha256[:12]}  {'sent' if each.sent else 'already there'}  {each.uri}")
