"""`lockstep demo`: the whole path on the embedded cloud."""

from __future__ import annotations

import time

import typer

from infra.errors import UsageError
from lockstep.context import console, project_root, target

app = typer.Typer(rich_markup_mode=None)


@app.command()
def demo() -> None:
    """Run the whole path on the embedded cloud: three environments, one model, two promotions, one rollback.

    Each step is the command that a person would type. A second run works on what the first left.

    \b
    Example: lockstep demo
    """
    from lockstep.context import running_cloud
    from lockstep.demo.steps import Demo
    from lockstep.demo.summary import print_rollouts, print_times

    if running_cloud() is not None and target() == "aws":
        raise UsageError("the demo runs on the embedded cloud alone", where="environment variable LOCKSTEP_TARGET", remedy="Unset it.")
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
