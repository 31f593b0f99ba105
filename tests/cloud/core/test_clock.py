"""The clock: it never goes back, changes of speed are seamless, and waits notice when time moves."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud import governor
from local.cloud.clock import Clock
from local.errors import ClockError


class Ticks:
    """Real time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.floats(0, 1000)),
        st.tuples(st.just("speed"), st.floats(0.1, 1000)),
        st.tuples(st.just("advance"), st.floats(0, 100000)),
        st.tuples(st.just("offset"), st.floats(-1000, 100000)),
        st.tuples(st.just("tether"), st.floats(0, 1000)),
        st.tuples(st.just("pull"), st.floats(0, 1000)),
        st.tuples(st.just("let go"), st.just(0.0)),
    ),
    max_size=30,
)


@given(STEPS)
def test_time_never_goes_back(steps: list[tuple[str, float]]) -> None:
    ticks = Ticks()
    clock = Clock(real=ticks, ticks=ticks)
    last = clock.time()
    tethers = [clock.tether(10)]
    for kind, amount in steps:
        if kind == "tick":
            ticks.now += amount
        elif kind == "tether":
            tethers.append(clock.tether(amount))
        elif kind == "pull":
            for tether in tethers:
                tether.pull(amount)
        elif kind == "let go":
            tethers[-1].let_go()
        else:
            try:
                clock.set(**{kind: amount})
            except ClockError:
                assert kind == "offset"
        assert clock.time() >= last - 1e-6
        last = clock.time()


@given(st.floats(0.1, 1000), st.floats(0.1, 1000), st.floats(0, 1000))
def test_a_change_of_speed_moves_no_time(before: float, after: float, passed: float) -> None:
    ticks = Ticks()
    clock = Clock(speed=before, real=ticks, ticks=ticks)
    ticks.now += passed
    moment = clock.time()
    clock.set(speed=after)
    assert clock.time() == pytest.approx(moment, abs=1e-6)
    ticks.now += 1
    assert clock.time() == pytest.approx(moment + after, abs=1e-6)


@given(st.floats(1.1, 1000), st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 100000))
def test_a_tether_holds_time_and_what_was_held_is_not_made_up_for(speed: float, passed: float, leave: float, leap: float) -> None:
    ticks = Ticks()
    clock = Clock(speed=speed, real=ticks, ticks=ticks)
    begin, unscaled = clock.time(), clock.unscaled()
    with clock.tether(1e9) as longer, clock.tether(leave) as tether:
        ticks.now += passed
        held = min(leave, passed * speed)
        assert clock.time() - begin == pytest.approx(held, abs=1e-3)
        assert clock.unscaled() - unscaled == pytest.approx(passed, abs=1e-3)
        clock.set(advance=leap)
        assert clock.time() - begin == pytest.approx(held + leap, abs=1e-3)
        tether.pull(speed)
        ticks.now += 10
        assert clock.time() - begin == pytest.approx(held + leap + speed, abs=1e-3)
        longer.pull(1e9)
    assert clock.time() - begin == pytest.approx(held + leap + speed, abs=1e-3)
    ticks.now += 1
    assert clock.time() - begin == pytest.approx(held + leap + 2 * speed, abs=1e-3)


def test_a_clock_at_the_speed_of_time_is_not_held() -> None:
    ticks = Ticks()
    clock = Clock(real=ticks, ticks=ticks)
    with clock.tether(1):
        ticks.now += 60
        assert clock.time() == pytest.approx(ticks.now)
        clock.set(speed=2)
        ticks.now += 60
        assert clock.time() == pytest.approx(ticks.now - 60)


def test_who_waits_for_time_that_is_held_does_not_busy_the_machine() -> None:
    looks = 0

    def ticks() -> float:
        nonlocal looks
        looks += 1
        return time.monotonic()

    clock = Clock(speed=1000, ticks=ticks)
    with clock.tether(10) as tether:
        waiter = threading.Thread(target=clock.wait_until, args=(clock.time() + 10.0001,))
        begun = time.monotonic()
        waiter.start()
        waiter.join(0.3)
        assert waiter.is_alive()
        assert looks < 10 + 1000 * (time.monotonic() - begun)
        tether.pull(1000)
        waiter.join(90)
        assert not waiter.is_alive()


def test_a_machine_that_stood_still_has_missed_nothing() -> None:
    """The governor gives leave for a twentieth of a second at a time; a stop of a minute costs no more."""
    ticks, closing = Ticks(), threading.Event()
    clock = Clock(speed=100, real=ticks, ticks=ticks)
    begin = clock.time()
    governor.start(clock, closing)
    ticks.now += 60
    assert clock.time() - begin == pytest.approx(5)
    came = threading.Event()
    clock.call_later(60, came.set)
    deadline = time.monotonic() + 90
    while not came.wait(0.005):
        assert time.monotonic() < deadline, "time does not go on"
        ticks.now += 0.01
    closing.set()


@given(st.floats(0.1, 1000), st.floats(0, 100000))
def test_the_unscaled_line_knows_leaps_but_not_the_speed(speed: float, leap: float) -> None:
    ticks = Ticks()
    clock = Clock(speed=speed, real=ticks, ticks=ticks)
    begin = clock.unscaled()
    ticks.now += 10
    clock.set(advance=leap)
    assert clock.unscaled() - begin == pytest.approx(10 + leap, abs=1e-4)


def test_an_offset_starts_time_elsewhere() -> None:
    clock = Clock(offset=86400)
    assert clock.time() - time.time() == pytest.approx(86400, abs=1)
    assert clock.offset == pytest.approx(86400, abs=1)


@pytest.mark.parametrize("change", [{"speed": 0}, {"speed": -1}, {"advance": -1}, {"offset": -10}])
def test_what_would_break_time_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ClockError):
        Clock().set(**change)


@pytest.mark.parametrize("event", [None, threading.Event()])
def test_a_wait_ends_when_time_is_advanced(event: threading.Event | None) -> None:
    clock = Clock()
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(clock.wait_until(clock.time() + 3600, event)))
    waiter.start()
    clock.set(advance=7200)
    waiter.join(90)
    assert answers == [True]


def test_a_wait_ends_early_when_its_event_is_set() -> None:
    clock = Clock()
    event = threading.Event()
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(clock.wait_until(clock.time() + 3600, event)))
    waiter.start()
    event.set()
    waiter.join(90)
    assert answers == [False]


@pytest.mark.parametrize("change", [{"offset": 1e300}, {"advance": 1e12}, {"offset": float("nan")}, {"advance": float("inf")}])
def test_a_time_that_no_date_can_say_is_refused(change: dict[str, float]) -> None:
    clock = Clock()
    with pytest.raises(ClockError):
        clock.set(**change)
    assert clock.now().year < 9000
    with pytest.raises(ClockError, match="between the years 1970 and 9000"):
        Clock(offset=-1e300)


def test_time_that_runs_fast_stops_where_dates_end() -> None:
    ticks = [0.0]
    clock = Clock(speed=1e300, ticks=lambda: ticks[0])
    ticks[0] = 60.0
    assert clock.now().year == 9000


def test_a_closed_clock_lets_all_waits_go() -> None:
    clock = Clock()
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(clock.wait_until(clock.time() + 3600)))
    waiter.start()
    clock.close()
    waiter.join(90)
    assert answers == [False]


def test_calls_are_made_when_due_and_not_when_cancelled() -> None:
    clock = Clock()
    made: list[str] = []
    done = threading.Event()
    clock.call_later(20, lambda: (made.append("late"), done.set()))
    clock.call_later(10, lambda: made.append("cancelled")).cancel()
    assert not done.is_set()
    clock.set(advance=60)
    assert done.wait(90)
    assert made == ["late"]
    clock.close()
