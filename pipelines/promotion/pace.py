"""How long to wait between two looks: by the service's time, not by this machine's."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipelines.promotion.seam import Aws

_EVERY = 10.0
"""Seconds of the service between two looks."""

_SHORTEST = 0.1
"""Real seconds: a clock that is sped up a thousand times is no reason to flood the service."""


class Pace:
    """Sleeps so that about `every` seconds of the service pass.

    How fast the service's clock runs against ours is measured from its answers; until a few of its seconds have passed, short sleeps.
    """

    def __init__(self, aws: Aws, *, every: float = _EVERY, local: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._every = every
        self._local = local
        self._began = (aws.now, local())
        self._probing = _SHORTEST / 2

    def pause(self) -> None:
        served, passed = self._aws.now - self._began[0], self._local() - self._began[1]
        if served >= 5 and passed > 0:
            self._aws.sleep(min(self._every, max(_SHORTEST, self._every * passed / served)))
            return
        self._aws.sleep(self._probing)
        self._probing = min(self._probing * 2, self._every / 2)


class Patience:
    """Waits for what should come by itself: `seconds` of the service, and the looks that belong into them.

    The looks count because a run that stood still in between, or asks a service whose clock is sped up, has seen nothing of that time.
    """

    def __init__(self, aws: Aws, seconds: float) -> None:
        self._aws = aws
        self._seconds = seconds
        self._began: float | None = None
        self._looks = 0

    def waited(self) -> float:
        """Seconds of the service since the first look."""
        return 0.0 if self._began is None else self._aws.now - self._began

    def spent(self) -> bool:
        """Say after a look that found nothing: whether it was the last."""
        if self._began is None:
            self._began = self._aws.now
        self._looks += 1
        return self.waited() > self._seconds and self._looks > self._seconds / _EVERY
