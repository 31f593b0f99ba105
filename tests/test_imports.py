"""Who may import whom: the table of the design, held by walking the imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("infra", "pipelines", "policies", "local", "lockstep", "workloads")

# The room of a file -> what of ours it may import, apart from its own room. `lockstep` is free to import all.
ALLOWED: dict[str, tuple[str, ...]] = {
    "infra": (),
    "pipelines": ("infra.outputs", "infra.errors"),
    "policies": ("infra.types",),
    "local": (),
    "lockstep": ("infra", "pipelines", "policies", "local", "workloads"),
    "workloads": ("pipelines.workload", "pipelines.contract"),
    "__main__.py": ("infra",),
}

# Inside container images: the engine's SDK is not there.
WITHOUT_PULUMI = ("infra/__init__.py", "infra/outputs.py", "infra/errors.py")
# What `pulumi preview` runs: importing the SageMaker SDK takes seconds and needs a region.
WITHOUT_SDK = ("infra", "__main__.py")


def files(room: str) -> Iterator[Path]:
    place = ROOT / room
    yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports; `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = file.relative_to(ROOT).with_suffix("").parts[: -node.level]
                base = ".".join((*package, *([base] if base else [])))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def offences(room: str) -> list[str]:
    found = []
    for file in files(room):
        own = room
        if room == "workloads" and file.parent != ROOT / room:
            own = ".".join(file.relative_to(ROOT).parts[:2])  # one workload does not import another
        for line, name in imports(file):
            ours = name.split(".")[0] in ROOMS
            if ours and not within(name, own) and not any(within(name, allowed) for allowed in ALLOWED[room]):
                found.append(f"{file.relative_to(ROOT)}:{line} imports {name}")
    return found


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_follow_the_table(room: str) -> None:
    assert offences(room) == []


def test_every_room_is_walked() -> None:
    """A room that the table forgets would be free to import anything."""
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert ours <= set(ALLOWED)
    assert all(list(files(room)) for room in ("infra", "pipelines", "local", "lockstep", "workloads"))


def test_an_arrow_that_is_not_allowed_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "wrong.py").write_text("def f():\n    from local.cloud import server\n\nfrom .naming import Names\n")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "wrong.py").write_text("from infra import outputs, naming\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert offences("infra") == ["infra/wrong.py:2 imports local.cloud.server"]
    assert offences("pipelines") == ["pipelines/wrong.py:1 imports infra.naming"]


def test_what_is_inside_images_never_imports_pulumi() -> None:
    found = [f"{name}:{line}" for name in WITHOUT_PULUMI for line, imported in imports(ROOT / name) if imported.startswith("pulumi")]
    assert found == []


def test_the_program_never_imports_the_sagemaker_sdk() -> None:
    found = [f"{file}:{line}" for room in WITHOUT_SDK for file in files(room) for line, name in imports(file) if within(name, "sagemaker")]
    assert found == []
