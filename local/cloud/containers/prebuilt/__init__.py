"""Containers that AWS provides, recognised by registry and repository, and run by programs of ours that keep their contract.

The scikit-learn container (repository `sagemaker-scikit-learn`) runs "script mode": the user brings a Python file, the container the rest.
Registry accounts: https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
"""

from __future__ import annotations

import sys
from pathlib import Path

from local.cloud.containers.images import ImageReference

SCIKIT_LEARN = "sagemaker-scikit-learn"
SCIKIT_LEARN_ACCOUNTS = frozenset(
    {
        "683313688378",  # us-east-1
        "257758044811",  # us-east-2
        "746614075791",  # us-west-1
        "246618743249",  # us-west-2
        "141502667606",  # eu-west-1
        "764974769150",  # eu-west-2
        "492215442770",  # eu-central-1
        "121021644041",  # ap-southeast-1
        "783357654285",  # ap-southeast-2
        "354813040037",  # ap-northeast-1
        "366743142698",  # ap-northeast-2
        "720646828776",  # ap-south-1
    }
)
PROGRAMS = {"serve": "sklearn_serve.py", "train": "sklearn_train.py"}


def is_scikit_learn(reference: ImageReference) -> bool:
    return reference.repository == SCIKIT_LEARN and reference.account in SCIKIT_LEARN_ACCOUNTS


def command(name: str) -> list[str]:
    """How `train` or `serve` of the scikit-learn container is run here: with the Python that runs the cloud, which has scikit-learn too."""
    return [sys.executable, "-s", "-P", str(Path(__file__).with_name(PROGRAMS[name]))]
