"""The container's paths, replaced in text."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.cloud.containers.paths import ML, PROGRAM, PathMap

PATHS = PathMap({ML: Path("/home/x/ml"), PROGRAM: Path("/img/opt/program")})


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("/opt/ml", "/home/x/ml"),
        ("/opt/ml/model/a.txt", "/home/x/ml/model/a.txt"),
        ("--dir=/opt/ml/model,/opt/ml/output", "--dir=/home/x/ml/model,/home/x/ml/output"),
        ("file:///opt/ml/model", "file:///home/x/ml/model"),
        ("/opt/program/bin:/usr/bin", "/img/opt/program/bin:/usr/bin"),
        ("/opt/mlflow/ui", "/opt/mlflow/ui"),
        ("/opt/ml-old", "/opt/ml-old"),
        ("s3://bucket/opt/ml/x", "s3://bucket/opt/ml/x"),
        ("/srv/opt/ml", "/srv/opt/ml"),
        ("nothing", "nothing"),
    ],
)
def test_whole_prefixes_are_replaced_and_nothing_else(given: str, answer: str) -> None:
    assert PATHS.text(given) == answer


def test_a_tree_is_replaced_in_its_values() -> None:
    given = {"/opt/ml": ["/opt/ml/x", 1, None, {"a": "/opt/program"}]}
    assert PATHS.tree(given) == {"/opt/ml": ["/home/x/ml/x", 1, None, {"a": "/img/opt/program"}]}
