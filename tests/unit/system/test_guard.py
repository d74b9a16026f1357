"""Whoever the loop calls may fail: that one is left out, and everybody else goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from firstlight.journal.event import Event, Stage
from firstlight.journal.journal import Journal
from firstlight.system import clock
from firstlight.system.loop import Loop, Requested

ORDER = Requested("retry", "order", "retry")


class Failures(list[tuple[str, str]]):
    """Who has failed, and how."""

    def note(self, who: str, how: str) -> None:
        self.append((who, how))


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
def loop(failures: Failures) -> Iterator[Loop]:
    made = Loop()
    made.guard.failed = failures.note
    yield made
    made.close()


def fails(*_: object) -> None:
    raise ValueError("a fault of ours")


def test_a_listener_that_fails_is_told_no_more_and_the_others_are(loop: Loop, failures: Failures) -> None:
    heard: list[object] = []
    loop.listeners += [fails, heard.append]
    for _ in range(2):
        loop.post(ORDER)
        assert loop.turn(None) == [ORDER]

    assert heard == [ORDER, ORDER]
    assert [who for who, _ in failures] == ["fails"]
    assert failures[0][1].startswith("ValueError: a fault of ours (test_guard.py:")


def test_a_timer_that_fails_takes_no_other_with_it(loop: Loop, failures: Failures) -> None:
    called: list[str] = []
    loop.call_at(clock.now() - 2, fails)
    loop.call_at(clock.now() - 1, lambda: called.append("another"))
    loop.turn(clock.now())
    assert (called, len(failures)) == (["another"], 1)


def test_who_fails_to_read_is_not_woken_for_it_again(loop: Loop, failures: Failures) -> None:
    reading, writing = os.pipe()
    loop.receive(reading, fails)
    os.write(writing, b"x")
    loop.turn(None)
    loop.turn(clock.now())
    loop.forget(reading)
    os.close(writing)
    assert len(failures) == 1


def test_a_listener_of_the_journal_may_fail_at_the_event_that_tells_of_it(loop: Loop) -> None:
    journal = Journal(loop, None, {}, started=0.0)
    loop.guard.failed = lambda who, how: journal.note("failure", who=who, words=how)
    heard: list[Event] = []
    journal.listeners += [fails, heard.append]
    journal.write("boot", Stage.START)
    assert [event.kind for event in journal.events] == ["boot", "failure"]
    assert {event.kind for event in heard} == {"boot", "failure"}


def test_with_nobody_to_tell_a_failure_is_let_through(loop: Loop) -> None:
    loop.guard.failed = None
    loop.listeners.append(fails)
    loop.post(ORDER)
    with pytest.raises(ValueError, match="a fault of ours"):
        loop.turn(None)
