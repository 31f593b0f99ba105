"""`lockstep rollback`: release the model that served before."""

from __future__ import annotations

import typer

from lockstep.context import EnvironmentName, Json

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def rollback(environment: EnvironmentName, as_json: Json = False) -> None:
    """Release the model that served before the present one, blue-green as any release, and judged as one.

    Exit codes: 0 released, 1 failed, 4 rolled back, 5 unknown.

    \b
    Example: lockstep rollback prod
    """
    from lockstep.operations import run

    run(environment, "rollback", as_json=as_json)
