"""Rows for people: a table where it fits the terminal, else a block a row, so that nothing is cut off."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

_GAP = 2


def show(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows of as many cells as there are columns. The first cell heads its row's block; empty ones are left out of it."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if sum(widths) + _GAP * len(columns) <= console.width:
        _table(console, columns, rows)
        return
    label = max(map(len, columns))
    for row in rows:
        console.print(f"[bold]{row[0]}[/bold]", highlight=False)
        for name, cell in list(zip(columns, row, strict=True))[1:]:
            if cell:
                console.print(f"  {name:<{label}}  {cell}", highlight=False, markup=False, soft_wrap=True)


def _table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
