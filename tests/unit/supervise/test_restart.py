"""(an end, what came before, what the user wants, chance) → step, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from firstlight.errors import ExitCode
from firstlight.supervise.restart import (
    GPU_LIMIT,
    Cause,
    Count,
    End,
    Ended,
    History,
    Policy,
    Restart,
    To,
    When,
    after,
    jittered,
    next_delay,
    wanted,
)

ON_FAILURE = Policy(when=When.ON_FAILURE)
ALWAYS = Policy(when=When.ALWAYS)
NEVER = Policy()


def ended(status: int = 1, cause: Cause = Cause.APP, *, good: float = 0.0, at: float = 1000.0, stopping: bool = False) -> Ended:
    return Ended(status=status, good=good, at=at, cause=cause, words="it ended", stopping=stopping)


# An end, the policy, and what follows: our exit code, or where the restart begins.
STEPS = {
    "never": (ended(3), NEVER, 3),
    "never, killed by a signal": (ended(-9), NEVER, 137),
    "never, and CUDA killed it": (ended(1, Cause.CUDA), NEVER, 1),
    "never, and a check failed": (ended(-15, Cause.CHECK), NEVER, 143),
    "never, and the watch was told to restart": (ended(-15, Cause.WATCH), NEVER, To.GPU),
    "never, and somebody asks for it": (ended(-15, Cause.ORDER), NEVER, To.APP),
    "never, ended well": (ended(0), NEVER, 0),
    "on failure, ended well": (ended(0), ON_FAILURE, 0),
    "on failure, failed": (ended(1), ON_FAILURE, To.APP),
    "on failure, killed": (ended(-11), ON_FAILURE, To.APP),
    "on failure, a code that means success": (ended(143), replace(ON_FAILURE, success=frozenset({143})), 0),
    "on failure, a signal that means success": (ended(-15), replace(ON_FAILURE, success=frozenset({143})), 0),
    "on failure, stopped cleanly for a failed check": (ended(0, Cause.CHECK), ON_FAILURE, To.APP),
    "on failure, a zombie": (ended(0, Cause.ZOMBIE), ON_FAILURE, To.APP),
    "on failure, poisoned": (ended(-9, Cause.POISONED), ON_FAILURE, To.GPU),
    "on failure, CUDA": (ended(1, Cause.CUDA), ON_FAILURE, To.GPU),
    "on failure, the watch": (ended(-15, Cause.WATCH), ON_FAILURE, To.GPU),
    "on failure, ordered": (ended(0, Cause.ORDER), ON_FAILURE, To.APP),
    "always, ended well": (ended(0), ALWAYS, To.APP),
    "always, failed": (ended(1), ALWAYS, To.APP),
    "a stop is under way": (ended(5, stopping=True), ALWAYS, 5),
    "a stop is under way, killed": (ended(-15, stopping=True), ON_FAILURE, 143),
    "a stop is under way, the signal means success": (ended(-15, stopping=True), replace(ALWAYS, success=frozenset({143})), 0),
    "a stop overtakes a restart by order": (ended(-15, Cause.ORDER, stopping=True), ALWAYS, 143),
    "a stop overtakes a failed check": (ended(-15, Cause.CHECK, stopping=True), ALWAYS, 143),
    "never, a code that means success": (ended(143), replace(NEVER, success=frozenset({143})), 0),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_follows_an_end(name: str) -> None:
    end, policy, expected = STEPS[name]

    step = after(end, History(), policy, chance=0.0)

    if isinstance(expected, To):
        assert isinstance(step, Restart)
        assert (step.to, step.cause, step.reason) == (expected, end.cause, "it ended")
    else:
        assert step == End(expected, "it ended")


# The last delay, the policy, the next one.
DELAYS = [
    (0.0, ON_FAILURE, 0.5),
    (0.5, ON_FAILURE, 1.0),
    (1.0, ON_FAILURE, 2.0),
    (8.0, ON_FAILURE, 16.0),
    (14.9, ON_FAILURE, 29.8),
    (15.0, ON_FAILURE, 30.0),
    (16.0, ON_FAILURE, 30.0),
    (30.0, ON_FAILURE, 30.0),
    (0.0, replace(ON_FAILURE, delay=3.0), 3.0),
    (3.0, replace(ON_FAILURE, delay=3.0), 6.0),
    (0.0, replace(ON_FAILURE, delay=60.0), 30.0),
    (0.0, replace(ON_FAILURE, delay=0.0), 0.0),
]


@pytest.mark.parametrize(("last", "policy", "expected"), DELAYS)
def test_the_delay_doubles_up_to_its_cap(last: float, policy: Policy, expected: float) -> None:
    assert next_delay(last, policy) == pytest.approx(expected)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 10.0), (0.5, 10.5), (1.0, 11.0)])
def test_chance_adds_a_tenth_at_most(chance: float, expected: float) -> None:
    assert jittered(10.0, chance) == pytest.approx(expected)


def test_the_delays_of_an_app_that_fails_at_once() -> None:
    history, delays = History(), []
    for number in range(8):
        step = after(ended(at=number * 40.0), history, ON_FAILURE, chance=0.0)
        assert isinstance(step, Restart)
        history = step.history
        delays.append(step.delay)

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_chance_does_not_add_up_over_restarts() -> None:
    first = after(ended(), History(), ON_FAILURE, chance=1.0)
    assert isinstance(first, Restart)
    second = after(ended(at=1001.0), first.history, ON_FAILURE, chance=0.0)

    assert isinstance(second, Restart)
    assert (first.delay, second.delay) == (pytest.approx(0.55), 1.0)


@pytest.mark.parametrize(("good", "expected"), [(29.9, 16.0), (30.0, 0.5), (3000.0, 0.5)])
def test_a_good_life_starts_the_delay_anew(good: float, expected: float) -> None:
    step = after(ended(good=good), History(delay=8.0), ON_FAILURE, chance=0.0)

    assert isinstance(step, Restart)
    assert step.delay == expected


def test_a_restart_by_order_waits_for_nothing_and_counts_for_nothing() -> None:
    history = History(delay=16.0, app=Count((999.0,) * 10, 10))

    step = after(ended(0, Cause.ORDER), history, ON_FAILURE, chance=1.0)

    assert isinstance(step, Restart)
    assert step.delay == 0
    assert step.history == replace(history, restarts=1)


def lives(policy: Policy, *, cause: Cause = Cause.APP, apart: float, good: float = 0.0, most: int = 100) -> tuple[int, End | None]:
    """How many restarts there are of an app that ends every `apart` seconds, and how it ends."""
    history = History()
    for number in range(most):
        step = after(ended(cause=cause, at=number * apart, good=good), history, policy, chance=0.0)
        if isinstance(step, End):
            return number, step
        history = step.history
    return most, None


LIMITS = {
    "as many as the limit, and the next ends it": (ON_FAILURE, Cause.APP, 1.0, 0.0, 10),
    "a limit of one": (replace(ON_FAILURE, limit=1), Cause.APP, 1.0, 0.0, 1),
    "none": (replace(ON_FAILURE, limit=0), Cause.APP, 1.0, 0.0, 100),
    "good lives, too many within the window": (ON_FAILURE, Cause.APP, 50.0, 40.0, 10),
    "good lives, far apart": (ON_FAILURE, Cause.APP, 100.0, 90.0, 100),
    "never good, and too slow to fill the window": (ON_FAILURE, Cause.APP, 3600.0, 0.0, 10),
    "exits well and is always restarted": (ALWAYS, Cause.APP, 1.0, 0.0, 10),
    "zombies": (ON_FAILURE, Cause.ZOMBIE, 1.0, 0.0, 10),
    "CUDA kills it again and again": (ON_FAILURE, Cause.CUDA, 1.0, 0.0, GPU_LIMIT),
    "CUDA kills it again and again, slowly": (ON_FAILURE, Cause.CUDA, 3600.0, 0.0, GPU_LIMIT),
    "CUDA kills it, but it was well for long": (ON_FAILURE, Cause.CUDA, 3600.0, 3000.0, 100),
    "CUDA, and a limit lower than its own": (replace(ON_FAILURE, limit=2), Cause.CUDA, 1.0, 0.0, 2),
    "CUDA, and no limit": (replace(ON_FAILURE, limit=0), Cause.CUDA, 1.0, 0.0, 100),
    "orders are not counted": (ON_FAILURE, Cause.ORDER, 1.0, 0.0, 100),
    "the watch, against a policy of never": (NEVER, Cause.WATCH, 1.0, 0.0, GPU_LIMIT),
}


@pytest.mark.parametrize("name", LIMITS)
def test_where_restarts_end(name: str) -> None:
    policy, cause, apart, good, expected = LIMITS[name]

    restarts, end = lives(policy, cause=cause, apart=apart, good=good)

    assert restarts == expected
    if expected < 100:
        assert end is not None
        assert end.code == ExitCode.RESTART_LIMIT
        assert str(expected) in end.reason
        assert "it ended" in end.reason


def test_deaths_that_cuda_caused_do_not_count_against_the_app() -> None:
    history = History(app=Count(tuple(990.0 + number for number in range(9)), 9))

    for number in range(GPU_LIMIT):
        step = after(ended(cause=Cause.CUDA, at=1000.0 + number), history, ON_FAILURE, chance=0.0)
        assert isinstance(step, Restart)
        history = step.history

    assert isinstance(after(ended(at=1010.0), history, ON_FAILURE, chance=0.0), Restart)


def test_an_order_may_always_stop_a_living_app_and_a_check_only_where_restarts_are_wanted() -> None:
    assert wanted(Cause.ORDER, NEVER)
    assert not wanted(Cause.CHECK, NEVER)
    assert not wanted(Cause.POISONED, NEVER)
    assert wanted(Cause.POISONED, ON_FAILURE)


@given(
    st.lists(st.tuples(st.integers(-64, 255), st.sampled_from(list(Cause)), st.floats(0, 100), st.floats(0, 1)), max_size=40),
    st.sampled_from(list(When)),
)
def test_over_any_lives_the_delay_stays_in_bounds_and_every_restart_is_counted(
    lives: list[tuple[int, Cause, float, float]], when: When
) -> None:
    policy = Policy(when=when)
    history, now = History(), 0.0
    for restarts, (status, cause, good, chance) in enumerate(lives, 1):
        now += good + 1.0
        step = after(ended(status, cause, good=good, at=now), history, policy, chance=chance)
        if isinstance(step, End):
            assert 0 <= step.code <= 255
            return
        assert step.history.restarts == restarts
        assert 0 <= step.delay <= policy.delay_max * 1.1
        assert len(step.history.app.times) <= policy.limit
        assert len(step.history.gpu.times) <= GPU_LIMIT
        history = step.history
        now += step.delay
