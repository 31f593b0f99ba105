"""How many jobs run at once: the rest wait their turn, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Slots:
    """A counting semaphore that is fair and whose waiters can give up."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def acquire(self, given_up: Callable[[], bool]) -> bool:
        """Wait for a slot. False, and no slot taken, when `given_up` says so first (call `wake` to have it asked again)."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: given_up() or (self._free > 0 and self._queue[0] is ticket))
            self._queue.remove(ticket)
            taken = not given_up()
            if taken:
                self._free -= 1
            self._changed.notify_all()
        return taken

    def release(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
