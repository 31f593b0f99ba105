"""`lockstep redeploy`: release the present model again, with the serving spec as it is now."""

from __future__ import annotations

import typer

from lockstep.context import EnvironmentName, Json

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def redeploy(environment: EnvironmentName, as_json: Json = False) -> None:
    """Release the present model again, blue-green, with the serving spec as the stack file now says.

    This is how an edit of instance type, count, keys or capture reaches the live fleet. Another instance type needs autoscaling to be
    deregistered first; the refusal says how.

    Exit codes: 0 released, 1 failed, 4 rolled back, 5 unknown.

    \b
    Example: lockstep redeploy prod
    """
    from lockstep.operations import run

    run(environment, "redeploy", as_json=as_json)
