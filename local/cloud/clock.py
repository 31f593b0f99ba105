"""The one clock of the embedded cloud.

Time runs at `speed` cloud seconds a real second, starts `offset` seconds from the real time, may be moved forward, and never goes back.
Where a fast clock could run away from what has to happen meanwhile, a tether holds it; one at the speed of time shows the time.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from local.errors import ClockError

log = logging.getLogger(__name__)

# Dates end with the year 9999 in Python and in AWS's formats. Time stops before; whoever asks for more is refused.
_FIRST, _LAST = 0.0, datetime(9000, 1, 1, tzinfo=UTC).timestamp()
_SLICE = 0.02  # real seconds between looks at an event that the clock can't be woken by
_SHORTEST = 0.002  # real seconds of a wait: while time is held just short of what is waited for, a wait is as short as that again and again


class Timer:
    """A call that is due at a cloud time; `cancel` before then and it is not made."""

    def __init__(self, due: float, fn: Callable[[], object]) -> None:
        self.due = due
        self.fn = fn
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Tether:
    """Holds a clock: time goes as far as the last `pull` gave leave, and stands still there. A context manager; lets go at its end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.limit = float("inf")

    def pull(self, seconds: float) -> None:
        """Give leave for `seconds` of cloud time from now on."""
        self._clock._pull(self, seconds)

    def let_go(self) -> None:
        self._clock._untie(self)

    def __enter__(self) -> Tether:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()


class Clock:
    """Cloud time. Thread-safe; waits notice at once when speed changes or time is moved forward."""

    def __init__(
        self, speed: float = 1.0, offset: float = 0.0, real: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        _positive(speed)
        self._ticks = ticks
        self._real = real
        self._changed = threading.Condition()
        self._base_ticks = ticks()
        self._base = _in_time(real() + offset)
        self._speed = speed
        self._unscaled_base = self._base
        self._tethers: list[Tether] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = itertools.count()
        self._runner: threading.Thread | None = None
        self._closed = False

    @property
    def speed(self) -> float:
        """Cloud seconds a real second."""
        return self._speed

    @property
    def offset(self) -> float:
        """Cloud time less real time, seconds, at this moment."""
        return self.time() - self._real()

    def time(self) -> float:
        """Cloud time as seconds since the epoch."""
        with self._changed:
            return self._time()

    def now(self) -> datetime:
        """Cloud time as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def unscaled(self) -> float:
        """Seconds since the epoch on a time line that knows offsets and leaps but not the speed.

        What is physical on the client's side, such as the life of its credentials, is measured on it: a rehearsal at thirty times the speed
        does not log its user out after two minutes.
        """
        with self._changed:
            return self._unscaled_base + (self._ticks() - self._base_ticks)

    def set(self, *, speed: float | None = None, offset: float | None = None, advance: float | None = None) -> None:
        """Change speed, set time to real time plus `offset`, or move it `advance` seconds forward; going back is refused."""
        if speed is not None:
            _positive(speed)
        with self._changed:
            self._rebase()
            now = target = self._base
            if offset is not None:
                target = self._real() + offset
                if target < now:
                    raise ClockError(
                        f"an offset of {offset:g} s would move cloud time {now - target:.1f} s backwards",
                        where="clock",
                        remedy="start the cloud anew to go back in time",
                    )
            if advance is not None:
                if advance < 0:
                    raise ClockError(
                        f"time can't be advanced by {advance:g} s", where="clock", remedy="give a number of seconds that is not negative"
                    )
                target += advance
            _in_time(target)
            self._base = target
            self._unscaled_base += target - now
            for tether in self._tethers:
                tether.limit += target - now
            if speed is not None:
                self._speed = speed
            self._changed.notify_all()

    def tether(self, seconds: float) -> Tether:
        """Hold time: it goes on for `seconds`, and farther when the tether is pulled. With several, the shortest holds. A clock that is no
        faster than time is not held."""
        made = Tether(self)
        with self._changed:
            self._tethers.append(made)
        made.pull(seconds)
        return made

    def _pull(self, tether: Tether, seconds: float) -> None:
        with self._changed:
            self._rebase()
            tether.limit = self._base + seconds

    def _untie(self, tether: Tether) -> None:
        with self._changed:
            self._rebase()
            if tether in self._tethers:
                self._tethers.remove(tether)

    def wait_until(self, epoch: float, event: threading.Event | None = None) -> bool:
        """Wait for cloud time `epoch`. True when it has come; False when `event` was set, or the clock closed, before."""
        while True:
            if event is not None and event.is_set():
                return False
            with self._changed:
                if self._closed:
                    return False
                left = (epoch - self._time()) / self._speed
                if left <= 0:
                    return True
                if event is None:
                    self._changed.wait(max(left, _SHORTEST))
                    continue
            event.wait(min(max(left, _SHORTEST), _SLICE))

    def call_later(self, seconds: float, fn: Callable[[], object]) -> Timer:
        """Call `fn` on a thread of its own when `seconds` of cloud time have passed."""
        with self._changed:
            timer = Timer(self._time() + seconds, fn)
            heapq.heappush(self._timers, (timer.due, next(self._sequence), timer))
            if self._runner is None and not self._closed:
                self._runner = threading.Thread(target=self._run_timers, name="clock", daemon=True)
                self._runner.start()
            self._changed.notify_all()
        return timer

    def close(self) -> None:
        """End all waits and forget all timers."""
        with self._changed:
            self._closed = True
            self._timers.clear()
            self._changed.notify_all()

    def _time(self, ticks: float | None = None) -> float:
        passed = (self._ticks() if ticks is None else ticks) - self._base_ticks
        held = min((tether.limit for tether in self._tethers), default=_LAST) if self._speed > 1 else _LAST
        return min(_LAST, max(self._base, held), self._base + passed * self._speed)

    def _rebase(self) -> None:
        """Start counting anew, so that what changes now changes no time that has passed, and time that was held is not made up for."""
        ticks = self._ticks()
        self._base, self._unscaled_base = self._time(ticks), self._unscaled_base + (ticks - self._base_ticks)
        self._base_ticks = ticks

    def _run_timers(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._timers or self._timers[0][0] > self._time()):
                    left = (self._timers[0][0] - self._time()) / self._speed if self._timers else None
                    self._changed.wait(None if left is None else max(left, _SHORTEST))
                if self._closed:
                    return
                timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                threading.Thread(target=_guarded, args=(timer,), name="clock-call", daemon=True).start()


def _guarded(timer: Timer) -> None:
    with contextlib.suppress(Exception):
        try:
            timer.fn()
        except Exception:
            log.exception("a call that was due at %s failed", timer.due)
            raise


def _positive(speed: float) -> None:
    if not 0 < speed < float("inf"):
        raise ClockError(f"a speed of {speed:g} is not possible", where="clock", remedy="give a positive number, for example 30")


def _in_time(epoch: float) -> float:
    if not _FIRST <= epoch <= _LAST:
        remedy = "give a number of seconds, for example 86400"
        raise ClockError("that leads to no time between the years 1970 and 9000", where="clock", remedy=remedy)
    return epoch
