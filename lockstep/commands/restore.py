"""`lockstep restore`: put the ledger's last release back."""

from __future__ import annotations

import typer

from lockstep.context import EnvironmentName, Json

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(environment: EnvironmentName, as_json: Json = False) -> None:
    """Put the ledger's last release back on an endpoint that was recreated and came up with its bootstrap release.

    Exit codes: 0 released, 1 failed, 4 rolled back, 5 unknown.

    \b
    Example: lockstep restore prod
    """
    from lockstep.operations import run

    run(environment, "restore", as_json=as_json)
