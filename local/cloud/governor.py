"""Keeps a fast clock from running away from the machine.

At thirty times the speed of time, a machine that stands still for a few seconds (it was busy, throttled, or asleep) would skip minutes in
which requests were to be answered, alarms to be evaluated and leases to be renewed: a rehearsal would tell of failures that say nothing
but that. So time goes on only while this process gets to run.
"""

from __future__ import annotations

import threading

from local.cloud.clock import Clock

_EVERY = 0.01
_LEAVE = 0.05
"""Real seconds: how often the clock is given leave to go on, and for how long."""


def start(clock: Clock, closing: threading.Event) -> None:
    """Govern the clock until `closing` is set."""
    tether = clock.tether(_LEAVE * clock.speed)

    def run() -> None:
        with tether:
            while not closing.wait(_EVERY):
                tether.pull(_LEAVE * clock.speed)

    threading.Thread(target=run, name="governor", daemon=True).start()
