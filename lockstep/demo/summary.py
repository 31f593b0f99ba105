"""The table at the end of the demo: what serves where, and how each rollout ended, from the cloud's own answers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from lockstep.demo.runner import Ran
from lockstep.demo.steps import Rollout

_OUTCOMES = {0: "released", 4: "rolled back", 5: "unknown"}


def print_rollouts(console: Console, rollouts: Sequence[Rollout]) -> None:
    """One line per promotion: its end, and what clients saw meanwhile."""
    console.print("\n[bold]Promotions[/bold]")
    table = Table(box=None, header_style="bold")
    for column in ("candidate", "from", "to", "outcome", "exit", "requests", "failed", "seconds"):
        table.add_column(column, justify="right" if column in ("exit", "requests", "failed", "seconds") else "left")
    for each in rollouts:
        table.add_row(
            each.candidate,
            each.source,
            each.target,
            _OUTCOMES.get(each.exit_code, "failed"),
            str(each.exit_code),
            str(each.tally.sent),
            str(each.tally.failed),
            f"{each.seconds:.0f}",
        )
    console.print(table)


def print_times(console: Console, ran: Sequence[Ran], total: float) -> None:
    """Where the time went: the longest steps."""
    longest = sorted(ran, key=lambda each: -each.seconds)[:5]
    parts = ", ".join(f"{each.step.shown.split('&& ')[-1]} {each.seconds:.0f} s" for each in longest)
    console.print(f"{total:.0f} s in all; the longest: {parts}", highlight=False, soft_wrap=True)
