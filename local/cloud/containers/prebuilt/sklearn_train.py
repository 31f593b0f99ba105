"""Training in script mode, as AWS's training toolkit does it: the SM_* variables, then the user's script, its hyperparameters as options.

https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md names the variables. Runs as a program of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TOOLKIT_PARAMETERS = "sagemaker_"


def decode(value: str) -> Any:
    """A hyperparameter as its JSON value, where it is one: the SDK encodes all of them, the API only knows strings."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def variables(
    base: Path, hyperparameters: dict[str, Any], channels: list[str], resources: dict[str, Any], module: str, folder: str
) -> dict[str, str]:
    """What the toolkit tells a script through its environment."""
    cores = os.cpu_count() or 1
    places = {
        "SM_MODEL_DIR": base / "model",
        "SM_INPUT_DIR": base / "input",
        "SM_INPUT_CONFIG_DIR": base / "input" / "config",
        "SM_OUTPUT_DIR": base / "output",
        "SM_OUTPUT_DATA_DIR": base / "output" / "data",
        **{f"SM_CHANNEL_{name.upper()}": base / "input" / "data" / name for name in channels},
    }
    answer = {name: str(place) for name, place in places.items()}
    answer |= {
        f"SM_HP_{name.upper().replace('-', '_')}": value if isinstance(value, str) else json.dumps(value)
        for name, value in hyperparameters.items()
    }
    answer |= {
        "SM_CHANNELS": json.dumps(channels),
        "SM_HPS": json.dumps(hyperparameters),
        "SM_CURRENT_HOST": resources["current_host"],
        "SM_HOSTS": json.dumps(resources["hosts"]),
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_NUM_CPUS": str(cores),
        "SM_NUM_GPUS": "0",
        "SM_USER_ARGS": json.dumps(arguments(hyperparameters)),
        "SM_MODULE_NAME": module,
        "SM_MODULE_DIR": folder,
    }
    return answer | {"SM_TRAINING_ENV": json.dumps(answer)}


def arguments(hyperparameters: dict[str, Any]) -> list[str]:
    """`--name value` in the order of names, `-n value` where a name is one letter."""
    answer: list[str] = []
    for name, value in sorted(hyperparameters.items()):
        answer += [f"-{name}" if len(name) == 1 else f"--{name}", value if isinstance(value, str) else json.dumps(value)]
    return answer


def main() -> int:
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    config = base / "input" / "config"
    given = {name: decode(value) for name, value in json.loads((config / "hyperparameters.json").read_text()).items()}
    channels = sorted(json.loads((config / "inputdataconfig.json").read_text()))
    resources = json.loads((config / "resourceconfig.json").read_text())
    program = os.environ.get("SAGEMAKER_PROGRAM") or given.get("sagemaker_program")
    folder = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or given.get("sagemaker_submit_directory") or str(base / "code")
    if not program:
        return _fail(base, "script mode needs the hyperparameter sagemaker_program or the variable SAGEMAKER_PROGRAM")
    if folder.startswith("s3://"):
        sys.path.insert(0, str(Path(__file__).parent))
        folder = str(importlib.import_module("sklearn_source").fetch(folder, base / "code"))
    own = {name: value for name, value in given.items() if not name.startswith(TOOLKIT_PARAMETERS)}
    environment = {**os.environ, **variables(base, own, channels, resources, Path(program).stem, folder), "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-s", program, *arguments(own)], cwd=folder, env=environment, check=False)
    return _fail(base, f"the script {program} exited with {done.returncode}", done.returncode) if done.returncode else 0


def _fail(base: Path, reason: str, code: int = 1) -> int:
    failure = base / "output" / "failure"
    failure.parent.mkdir(parents=True, exist_ok=True)
    if not failure.exists():
        failure.write_text(reason)
    print(reason, file=sys.stderr, flush=True)
    return code if 0 < code < 256 else 1


if __name__ == "__main__":
    sys.exit(main())
