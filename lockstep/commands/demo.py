"""`lockstep demo`: the whole path on the embedded cloud."""

from __future__ import annotations

import os
import time

import typer

from infra.errors import UsageError
from lockstep.context import TARGET_VARIABLE, asked_target, console, project_root

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo() -> None:
    """Run the whole path on the embedded cloud: three environments, one model, two promotions, one rollback.

    Each step is the command that a person would type. A second run works on what the first left.

    \b
    Example: lockstep demo
    """
    from lockstep.demo.steps import Demo
    from lockstep.demo.summary import print_rollouts, print_times

    if asked_target() == "aws":
        raise UsageError(
            "this shell means AWS, and the demo runs on the embedded cloud alone",
            where=f"environment variable {TARGET_VARIABLE}",
            remedy="Unset it, or use another shell than that of `lockstep env`.",
        )
    os.environ[TARGET_VARIABLE] = "local"  # what the demo asks itself, between its steps, it asks the cloud that they work on
    begun = time.monotonic()
    played = Demo(project_root(), console)
    played.play()
    console.print("\n[bold]What serves where[/bold]")
    played.show_status()
    print_rollouts(console, played.rollouts)
    print_times(console, played.ran, time.monotonic() - begun)
    console.print("\nTo look further:")
    for line in (
        ".venv/bin/lockstep status",
        'eval "$(.venv/bin/lockstep cloud env dev)" && pulumi up -s dev',
        ".venv/bin/lockstep models staging",
        "make clean",
    ):
        console.print(f"  {line}", highlight=False)
