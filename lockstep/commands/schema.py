"""`lockstep schema`: the JSON schema of stack files."""

from __future__ import annotations

from typing import Annotated

import typer

from lockstep.context import Json, console, emit, stacks_folder

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def schema(
    write: Annotated[bool, typer.Option("--write", help="Write it beside the stack files, for editors.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if the written one is not the model's.")] = False,
    as_json: Json = False,
) -> None:
    """Print, write or check the JSON schema of stack files. It is made from the model that reads them.

    \b
    Example: lockstep schema --check
    """
    from infra.config.schema import FILE_NAME, render
    from infra.errors import LockstepError, UsageError

    if write and check:
        raise UsageError("--write and --check exclude each other", where="lockstep schema")
    file, text = stacks_folder() / FILE_NAME, render()
    if not write and not check:
        print(text, end="")
        return
    current = file.is_file() and file.read_text() == text
    if write and not current:
        file.write_text(text)
    if check and not current:
        raise LockstepError(
            "the schema of stack files is out of date", where=f"stacks/{FILE_NAME}", remedy="Run `make compile`, and commit the result."
        )
    if as_json:
        emit({"file": str(file), "current": True, "written": write and not current})
    else:
        console.print(f"{'Wrote' if write and not current else 'Up to date:'} {file}")
