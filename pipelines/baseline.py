"""The accepted baseline of a workload's data: the validation report of the candidate that was registered last.

Its version stands in each training run's parameters, so that a verdict that was cached against one baseline can't answer for another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

NONE = "none"
"""The version of a baseline that there is not yet."""


def key(workload: str) -> str:
    """Where it lies in the artefacts bucket."""
    return f"baselines/{workload}/current.json"


def read(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """The baseline, or None if none was accepted yet."""
    try:
        accepted: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return accepted


def version(baseline: Mapping[str, Any] | None) -> str:
    """Digest of what is compared with: which data it describes, and how. `none` where there is no baseline."""
    if baseline is None:
        return NONE
    described = json.dumps({name: baseline[name] for name in ("data_version", "statistics")}, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()
