"""`lockstep bootstrap`: what an environment's first `pulumi up` needs."""

from __future__ import annotations

from typing import Annotated

import typer

from lockstep.context import EnvironmentName, Json, console, emit

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def bootstrap(
    environment: EnvironmentName,
    repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="The GitHub repository whose CI deploys; without it, no CI identity is made.")
    ] = None,
    only_plan: Annotated[bool, typer.Option("--plan", help="Print what would be made, and make nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask. Where nobody can be asked (no terminal, or --json), nothing is made without it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make what an environment's first `pulumi up` needs: state bucket, key, CI identity. What is there already is kept.

    It works on AWS, also while the embedded cloud runs, which needs none of it; LOCKSTEP_TARGET=local tries it there.

    \b
    Example: lockstep bootstrap dev --repository acme/models --plan
    """
    import re

    from infra.errors import UsageError
    from lockstep.bootstrap import identity, state
    from lockstep.bootstrap.item import plan
    from lockstep.context import asked_target, cloud_name, consent, names, session

    if repository is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UsageError(f"{repository!r} is not a repository", where="--repository", remedy="Write it as owner/name.")
    meant = asked_target() or "aws"
    found, own = names(environment), session(environment, meant)
    planned = plan([*state.items(own, found), *(identity.items(own, found, repository) if repository else [])])
    todo = [step for step in planned if step.action != "keep"]
    if not as_json:
        console.print(f"In account {found.account_id}, {found.region}, of {cloud_name(meant)}:")
        for step in planned:
            console.print(f"  {step.action:<7} {step.item.name}\n          {step.item.what}", soft_wrap=True)
        if not repository:
            console.print("  no CI identity: give --repository OWNER/NAME to make one")
    if todo and not only_plan:
        consent(f"Make {len(todo)} of them?", command="lockstep bootstrap", yes=yes, as_json=as_json)
        for step in todo:
            step.item.make()
    if as_json:
        items = [{"name": step.item.name, "what": step.item.what, "action": step.action} for step in planned]
        emit({"environment": environment, "account": found.account_id, "items": items, "applied": not only_plan})
    elif not only_plan:
        next_step = f'eval "$(lockstep {"cloud env" if meant == "local" else "env"} {environment})"'
        console.print(f"Done. Next: {next_step}" if todo else "Nothing to do.")
