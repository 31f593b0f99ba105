"""Compile the three pipelines to JSON. The only module that needs the SageMaker SDK; `lockstep pipeline compile` runs it.

The SDK makes clients while it is imported and reads the user's AWS settings, so it runs in a process of its own, in an
environment that names nobody's account: what comes out depends on this folder alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NAMES = ("training", "admit", "release")
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONDONTWRITEBYTECODE")


class CompileError(Exception):
    """The SDK refused a definition; the text is what it said."""


def compile_all() -> dict[str, str]:
    """Definition texts by pipeline name: pretty-printed, the same bytes each time.

    The order of lists is kept (steps, arguments, inputs); keys of objects are sorted.

    Raises:
        CompileError: with the end of what the SDK printed.
    """
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment |= {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAGEMAKER_VALIDATE_ROLE": "false",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.definitions.compile"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CompileError(done.stderr[-4000:])
    # The SDK may print to stdout while it is imported; the answer is the last line.
    texts: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return texts


def main() -> None:
    """Print the definitions as one line of JSON: name -> text."""
    warnings.simplefilter("ignore")  # deprecations inside the SDK, which its users can't act on
    from sagemaker.core.config.config_manager import SageMakerConfig

    from pipelines.definitions import admit, release, training
    from pipelines.definitions.steps import restore_tokens, session

    # The SDK checks its settings against their schema again at each of 200 look-ups, which is most of the time of compiling. Ours are
    # a constant (steps.session), so that in this process there is nothing to check.
    SageMakerConfig.validate_sagemaker_config = lambda *_: None
    builders = {"training": training.build, "admit": admit.build, "release": release.build}
    print(json.dumps({name: _pretty(restore_tokens(builders[name](session()).definition())) for name in NAMES}))


def _pretty(definition: str) -> str:
    return json.dumps(_without_nulls(json.loads(definition)), indent=2, sort_keys=True) + "\n"


def _without_nulls(value: object) -> object:
    # The SDK writes null for parts that are not there (MlflowConfig); absent says the same and is valid everywhere.
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


if __name__ == "__main__":
    main()
