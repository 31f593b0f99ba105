"""`lockstep invoke`: one request to an environment's endpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import LockstepError, UsageError
from lockstep.context import EnvironmentName, Json, emit

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def invoke(
    environment: EnvironmentName,
    file: Annotated[str, typer.Option("--file", help="File with the request's body; - is standard input.")] = "",
    data: Annotated[str, typer.Option("--data", help="The request's body itself.")] = "",
    content_type: Annotated[
        str, typer.Option("--content-type", help="Left out: application/json if the body begins like it, else text/csv.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Send a request to an environment's endpoint and print the answer.

    \b
    Example: lockstep invoke staging --data '{"instances": [{"pirat": 0.2, "hirat": 0.2, "lvrat": 0.8, "unemp": 3.9,
      "chist": 1, "mhist": 1, "phist": "no", "selfemp": "no", "insurance": "no", "condomin": "no", "single": "no", "hschool": "yes"}]}'
    """
    from lockstep import promotions

    if bool(file) == bool(data):
        raise UsageError("give the body once", where="--file, --data", remedy="Exactly one of them.")
    body = data or _read(file)
    guessed = "application/json" if body.lstrip()[:1] in ("{", "[") else "text/csv"
    at = promotions.place(environment)
    answer = at.aws.invoke(at.outputs.endpoint.name, body=body, content_type=content_type or guessed)
    if not answer["ok"]:
        said = f"the endpoint answered {answer['status']}" if answer["status"] else "the service gave no answer of the endpoint"
        raise LockstepError(f"{said}: {answer['body']}", where=at.outputs.endpoint.name)
    if as_json:
        emit({"endpoint": at.outputs.endpoint.name, "status": answer["status"], "body": answer["body"]})
    else:
        print(answer["body"])


def _read(file: str) -> str:
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except UnicodeDecodeError as error:
        raise UsageError("the file is no text in UTF-8", where=file, remedy="Name a file of JSON or CSV.") from error
    except OSError as error:
        raise UsageError(f"the file can't be read: {error.strerror}", where=file, remedy="Name a file that exists.") from error
