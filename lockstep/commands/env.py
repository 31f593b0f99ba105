"""`lockstep env`: the shell variables of an environment in AWS."""

from __future__ import annotations

import typer

from lockstep.context import EnvironmentName, Json, emit

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def env(environment: EnvironmentName, as_json: Json = False) -> None:
    """Print the shell variables with which `pulumi` works on an environment in AWS: state, key, region, policies.

    Needs credentials of the environment's account, and `lockstep bootstrap ENV` once before.
    For the embedded cloud, see `lockstep cloud env`.

    \b
    Example: eval "$(lockstep env dev)"
    """
    from lockstep import shell

    variables = shell.aws(environment)
    if as_json:
        emit({"set": variables.set, "unset": list(variables.unset)})
    else:
        print(variables.script())
