"""Tables for people, on wide terminals and narrow ones."""

from __future__ import annotations

import io

from rich.console import Console

from lockstep import tables

COLUMNS = ("environment", "serves", "since")
ROWS = [("dev", "bootstrap", ""), ("staging", "version [1]", "2026-11-22T19:41:56+00:00")]


def printed(width: int) -> list[str]:
    stream = io.StringIO()
    tables.show(Console(file=stream, width=width), COLUMNS, ROWS)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_table_where_it_fits() -> None:
    lines = printed(80)
    assert len(lines) == 3
    assert lines[0].split() == list(COLUMNS)


def test_a_block_a_row_where_it_does_not_and_nothing_is_cut() -> None:
    assert printed(40) == [
        "dev",
        "  serves       bootstrap",
        "staging",
        "  serves       version [1]",
        "  since        2026-11-22T19:41:56+00:00",
    ]


def test_a_cell_wider_than_the_terminal_is_whole() -> None:
    assert "2026-11-22T19:41:56+00:00" in "".join(printed(20))
