"""Entry point of the Pulumi program."""

from pathlib import Path

import pulumi

from infra.errors import LockstepError
from infra.program import run

try:
    run(Path(__file__).resolve().parent)
except LockstepError as error:
    # A RunError ends the program with its message alone; anything else is a fault of the program, and shows its traceback.
    raise pulumi.RunError(str(error)) from None
