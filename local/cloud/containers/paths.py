"""The container's fixed paths, told to a process that runs on the host.

Code of ours reads SAGEMAKER_BASE_DIR; for the rest, /opt/ml and /opt/program are replaced textually in arguments, environment and config
files. A path that is put together at run time is missed: that is the price of needing no container engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ML = "/opt/ml"
PROGRAM = "/opt/program"


class PathMap:
    """Replaces whole path prefixes: /opt/ml/model, but neither /opt/mlflow nor s3://bucket/opt/ml."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self.places = {prefix: str(place) for prefix, place in places.items()}
        names = "|".join(re.escape(prefix) for prefix in sorted(self.places, key=len, reverse=True))
        self._pattern = re.compile(rf"(?:(?<=file://)|(?<![\w/.-]))({names})(?![\w.-])")

    def text(self, value: str) -> str:
        return self._pattern.sub(lambda match: self.places[match.group(1)], value)

    def tree(self, value: Any) -> Any:
        """The same for every string in a JSON-like value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        return value
