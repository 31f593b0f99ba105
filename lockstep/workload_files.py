"""A workload's files, checked before an image of them is built: a training run would find the same faults, and only at its end."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from infra.errors import ConfigError
from pipelines.contract import load_contract
from pipelines.gates import KNOWN_METRICS, parse_gates
from pipelines.workload import load_spec


def check(source: Path, overlay: Path | None = None) -> None:
    """Reads description, contract and gates as the jobs will.

    Args:
        source: the workload's folder.
        overlay: a folder whose files replace those of the workload.

    Raises:
        ConfigError: one of them is missing or wrong.
    """

    def path(name: str) -> Path:
        return overlay / name if overlay is not None and (overlay / name).is_file() else source / name

    load_spec(path("workload.yaml").parent)
    load_contract(path("contract.yaml"))
    file = path("gates.yaml")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the gates can't be read: {error}", where=str(file), remedy="Write it as UTF-8 text.") from error
    for number, gate in enumerate(parse_gates(text, str(file)).gates):
        if gate.metric not in KNOWN_METRICS:
            near = get_close_matches(gate.metric, KNOWN_METRICS, n=1)
            remedy = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(sorted(KNOWN_METRICS))}."
            raise ConfigError(f"{gate.metric} is no known metric", where=f"{file}, gates.{number}.metric", remedy=remedy)
