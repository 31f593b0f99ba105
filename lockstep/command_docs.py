"""`docs/commands.md`, made from the commands themselves: `python -m lockstep.command_docs [--write | --check]`.

Each command's help is printed as it is on a terminal of 100 columns, so that what the page says is what the program says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from lockstep.main import COMMANDS, load

PAGE = Path("docs") / "commands.md"
_WIDTH = 100
_OPENING = """# Commands

Made by `make compile` from the commands themselves; edit their docstrings, not this page.

Every command has `--help`. With `--json`, where it is offered, a command prints one JSON document and nothing else; an error is then
a document `{"error": {...}}`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed; nothing more precise is known, or a condition did not hold and nothing was changed |
| 2 | the command line or a file that a person edits is wrong |
| 3 | a gate refused, or its evidence is missing |
| 4 | rolled back: the former release serves |
| 5 | unknown: a person must look |
| 130 | interrupted by Ctrl-C; what had been started in the cloud goes on |
"""


def render() -> str:
    """The text of the page."""
    parts = [_OPENING]
    for name in COMMANDS:
        command = load(name)
        parts.append(f"\n## {name}\n\n{COMMANDS[name][1]}\n")
        for path, each in sorted(leaves(command, f"lockstep {name}")):
            parts.append(f"\n```\n$ {path} --help\n{help_text(each, path)}\n```\n")
    return "".join(parts)


def leaves(command: Any, path: str) -> list[tuple[str, Any]]:
    """The commands that do something: those below a group, or the command itself."""
    if not hasattr(command, "commands"):
        return [(path, command)]
    return [leaf for name, each in command.commands.items() if not each.hidden for leaf in leaves(each, f"{path} {name}")]


def help_text(command: Any, path: str) -> str:
    """What `--help` prints, without what depends on the terminal."""
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=_WIDTH, max_content_width=_WIDTH)
    text: str = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def main(arguments: list[str]) -> int:
    from lockstep.context import project_root

    page, text = project_root() / PAGE, render()
    if "--write" in arguments:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
    elif "--check" in arguments:
        if not page.is_file() or page.read_text() != text:
            print(f"{PAGE} is not current; run `make compile`", file=sys.stderr)
            return 1
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
