"""Which regions there are, and the partition of each: from the data that botocore carries, so no call is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache


@cache
def partitions() -> Mapping[str, str]:
    """Region -> the partition that it belongs to, of every region that the installed botocore knows."""
    from botocore.loaders import create_loader

    described = create_loader().load_data("partitions")["partitions"]
    return {region: each["id"] for each in described for region in each["regions"] if re.fullmatch(each["regionRegex"], region)}
