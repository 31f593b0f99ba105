"""`python -m local.engine`: makes sure that there is an engine, and prints where it is."""

from __future__ import annotations

import sys

from local.engine.locate import ensure
from local.errors import LocalError


def main() -> int:
    try:
        engine = ensure()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(engine.pulumi)
    return 0


if __name__ == "__main__":
    sys.exit(main())
