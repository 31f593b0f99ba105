"""Where a job finds its inputs and leaves its outputs, and how it ends.

The base folder is /opt/ml, or SAGEMAKER_BASE_DIR where that is set.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.errors import IntegrityError, LockstepError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion.outcome import write_exit_message

FAILURE_LIMIT = 1024  # of a training job's failure file, what DescribeTrainingJob shows


def base() -> Path:
    """The folder that the container contract calls /opt/ml."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")


def input_folder(name: str) -> Path:
    return base() / "processing" / "input" / name


def output_folder(name: str) -> Path:
    """A processing job's output folder, made if it is not there."""
    folder = base() / "processing" / "output" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def only_file(folder: Path, pattern: str) -> Path:
    """The one file in a folder that fits the pattern.

    Raises:
        IntegrityError: there is none, or more than one (S3 prefixes match siblings, too).
    """
    found = sorted(path for path in folder.rglob(pattern) if path.is_file()) if folder.is_dir() else []
    if len(found) != 1:
        raise IntegrityError(f"there should be one {pattern}, there are {len(found)}", where=str(folder))
    return found[0]


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def expect_sha256(what: str, path: Path, expected: str) -> None:
    """Raise IntegrityError unless the file's bytes have the digest under which they were named."""
    found = sha256(path)
    if found != expected:
        raise IntegrityError(f"the {what} has digest {found}, not {expected}", where=path.name, remedy="Somebody changed it. Start again.")


def read_json(path: Path) -> Any:
    """A JSON document.

    Raises:
        IntegrityError: it is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(f"the document can't be read: {error}", where=str(path)) from error


def write_json(path: Path, document: Any) -> None:
    """Write a document, sorted and readable. Numbers that are not finite become null: JSON has none, and gates refuse both."""
    path.write_text(json.dumps(finite(document), indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """The same document with null for NaN and infinities."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def environment_outputs() -> EnvironmentOutputs:
    """How the environment describes itself, from the job's input `environment`."""
    path = only_file(input_folder("environment"), "outputs.json")
    return EnvironmentOutputs.model_validate_json(path.read_text(encoding="utf-8"))


def leave_message(text: str) -> None:
    """Leave a text that DescribeProcessingJob shows as ExitMessage (at most 1 KB)."""
    folder = base() / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "message").write_text(text[:FAILURE_LIMIT], encoding="utf-8")


def run_processing(job: Callable[[], None]) -> None:
    """Run a processing job and end the process: an error that is meant for people goes to the exit message."""
    try:
        job()
    except LockstepError as error:
        write_exit_message(error)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        write_exit_message(LockstepError(f"{type(error).__name__}: {error}"))
        raise


def run_training(job: Callable[[], None]) -> None:
    """Run a training job and end the process: an error's text becomes the FailureReason."""
    try:
        job()
    except Exception as error:
        folder = base() / "output"
        folder.mkdir(parents=True, exist_ok=True)
        text = str(error) if isinstance(error, LockstepError) else f"{type(error).__name__}: {error}"
        (folder / "failure").write_text(text[:FAILURE_LIMIT], encoding="utf-8")
        if not isinstance(error, LockstepError):
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
