"""The command `lockstep`: a table of commands, each loaded when it is called, and one place that turns errors into exit codes.

Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 a gate refused · 4 rolled back · 5 unknown, a person must
look · 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from lockstep.failures import Failure, explain

# name -> (module, its help in one line). Here, so that `lockstep --help` imports none of them; a test compares the lines.
COMMANDS: dict[str, tuple[str, str]] = {
    "cloud": ("lockstep.commands.cloud", "Start, stop and look at the embedded cloud of this checkout."),
    "env": ("lockstep.commands.env", "Print the shell variables with which `pulumi` works on an environment in AWS."),
    "bootstrap": ("lockstep.commands.bootstrap", "Make what an environment's first `pulumi up` needs: state bucket, key, CI identity."),
    "teardown": ("lockstep.commands.teardown", "Remove an environment: its releases first, then its stack."),
    "schema": ("lockstep.commands.schema", "Print, write or check the JSON schema of stack files."),
    "image": ("lockstep.commands.image", "Build and push container images."),
    "data": ("lockstep.commands.data", "Bring a workload's data and golden set into an environment."),
    "pipeline": ("lockstep.commands.pipeline", "Compile, run and watch pipelines."),
    "models": ("lockstep.commands.models", "List the model packages of an environment."),
    "promote": ("lockstep.commands.promote", "Promote a model package from one environment to the next."),
    "approve": ("lockstep.commands.approve", "Approve a model package, which starts its release, and watch that."),
    "redeploy": (
        "lockstep.commands.redeploy",
        "Release the present model again, blue-green, with the serving spec as the stack file now says.",
    ),
    "restore": ("lockstep.commands.restore", "Put the ledger's last release back on an endpoint that was recreated."),
    "rollback": ("lockstep.commands.rollback", "Release the model that served before."),
    "status": ("lockstep.commands.status", "Show what serves in each environment, since when, what is under way, and what was refused."),
    "invoke": ("lockstep.commands.invoke", "Send a request to an environment's endpoint."),
    "demo": ("lockstep.commands.demo", "Run the whole path on the embedded cloud: three environments, one model, two promotions."),
}


class LazyGroup(TyperGroup):
    """Knows its commands by name and one line of help, and imports one when it is asked for.

    Contexts, formatters and commands are of typer's own copy of click, which it does not export.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The commands from the table: the inherited one would import them all."""
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text((self.help or "").split("\b")[0].strip())
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        self.format_options_only(ctx, formatter)
        with formatter.section("Example"):
            formatter.write_text("lockstep cloud up")
        with formatter.section("Exit codes"):
            formatter.write_text(
                "0 done, 1 failed, 2 usage or configuration, 3 a gate refused, 4 rolled back, 5 unknown: a person must look"
            )

    def format_options_only(self, ctx: Any, formatter: Any) -> None:
        records = [record for parameter in self.get_params(ctx) if (record := parameter.get_help_record(ctx)) is not None]
        if records:
            with formatter.section("Options"):
                formatter.write_dl(records)


def load(name: str) -> Any:
    """A command's object, by its name in the table."""
    module = importlib.import_module(COMMANDS[name][0])
    app: typer.Typer = module.app
    command = typer.main.get_command(app)
    command.name = name
    return command


INTERRUPTED = 130  # what a shell reports of a command that Ctrl-C ended; typer turns the exception into it

app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Identical ML environments on AWS, and gated promotion between them; rehearsable offline."""


def main() -> None:
    """Entry point of the executable `lockstep`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code. Errors that are meant for people are printed; others are bugs and raise."""
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="lockstep", standalone_mode=False)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except typer.Abort:
        return _report(Failure("Declined", "declined: nothing was done", None, None, 1), as_json)
    except typer.TyperException as error:
        return _wrong_command_line(error, as_json)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        return _report(failure, as_json)
    if code == INTERRUPTED:
        return _report(Failure("Interrupted", "interrupted", None, "What it had started in the cloud goes on.", INTERRUPTED), as_json)
    return code if isinstance(code, int) else 0


def _wrong_command_line(error: Any, as_json: bool) -> int:
    if not as_json:
        error.show()
        return int(error.exit_code)
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "lockstep"
    return _report(Failure("UsageError", error.format_message(), where, f"`{where} --help` says more.", int(error.exit_code)), as_json)


def _report(failure: Failure, as_json: bool) -> int:
    if as_json:
        from lockstep.context import emit

        emit({"error": failure.document()})
        return failure.exit_code
    print(failure.text(), file=sys.stderr)
    return failure.exit_code


if __name__ == "__main__":
    main()
