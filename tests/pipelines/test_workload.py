"""How a workload is found: by a name that may be wrong, and without its code, which takes seconds to load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import ConfigError
from pipelines.workload import load_workload

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["nope", "../mortgage", "mortgage.nope", ".", " ", "mortgage/"])
def test_a_workload_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no workload") as caught:
        load_workload(name)
    assert caught.value.where == f"workloads/{name}"


def test_its_data_can_be_had_without_its_code() -> None:
    program = (
        "import sys\nfrom lockstep import datasets\nprint(len(datasets.export('mortgage')))\nprint('sklearn' in sys.modules)\n"
        "from pipelines.workload import load_workload\nprint(callable(load_workload('mortgage').code.train))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False", "True"]
