"""`lockstep teardown`: removes an environment."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from lockstep.context import EnvironmentName, Json, console, emit, project_root, target

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def teardown(
    environment: EnvironmentName,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask. Where nobody can be asked (no terminal, or --json), nothing is removed without it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove an environment: its releases first, then its stack.

    Only an environment whose stack file says `disposable: true` is emptied and removed; any other is left as it is, and what it would lose
    is listed. Evidence in compliance mode, which nobody can delete, refuses it too. Keys end up pending deletion, which is as gone as a key
    can be. On AWS this needs an administrator's credentials: CI's role deletes neither endpoints nor roles.

    \b
    Example: lockstep teardown dev --yes
    """
    from infra.errors import LockstepError
    from infra.naming import KeyPurpose, Names
    from lockstep import shell
    from lockstep.context import cloud_name, consent, session, stack
    from lockstep.teardown import holdings, steps

    meant = target()
    found, own = stack(environment), session(environment, meant)
    names = Names.of(found)
    steps.check_disposable(found, own, names)
    holdings.check_removable(own, names)
    lost = holdings.count(own, names)
    if not as_json:
        console.print(
            f"{environment} (account {names.account_id} of {cloud_name(meant)}) will be removed" + (", and with it:" if lost else ".")
        )
        for holding in lost:
            console.print(f"  {holding}")
    consent("Remove it?", command="lockstep teardown", yes=yes, as_json=as_json)
    variables = shell.local(environment) if meant == "local" else shell.aws(environment)

    def say(text: str) -> None:
        if not as_json:
            console.print(text)

    gone = steps.remove_releases(own, environment, say)
    holdings.remove(own, names)
    say("Emptied buckets, repositories and the model registry.")
    steps.destroy(environment, variables, str(project_root()), show=not as_json)
    left = steps.pending_keys(own, names, get_args(KeyPurpose))
    if left:
        raise LockstepError(f"keys are left that are not pending deletion: {', '.join(left)}", where=f"account {names.account_id}")
    if as_json:
        emit({"environment": environment, "removed": True, "releases": gone, "held": [vars(holding) for holding in lost]})
    else:
        console.print(f"{environment} is gone.")
