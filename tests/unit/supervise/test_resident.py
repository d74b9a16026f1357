"""A program that stays beside us: greeted at each start, started again when it dies, and what it says makes no difference to us."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from firstlight.supervise.resident import Resident
from firstlight.system import clock
from firstlight.system.loop import BACKLOG_LIMIT, Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    for process in list(made.children.running.values()):
        made.end(process)
    made.close()


@pytest.fixture
def answers() -> list[Mapping[str, Any]]:
    return []


@pytest.fixture
def ends() -> list[str]:
    return []


Make = Callable[[str], Resident]


@pytest.fixture
def make(loop: Loop, answers: list[Mapping[str, Any]], ends: list[str]) -> Make:
    """Makes a resident that runs a script."""
    return lambda script: Resident(
        loop,
        "script",
        lambda: ["/bin/sh", "-c", script],
        os.environ,
        greet=lambda: b"hello\n",
        answer=answers.append,
        ended=ends.append,
    )


def test_one_that_dies_is_started_again_and_greeted_anew(loop: Loop, make: Make, answers: list[Mapping[str, Any]], ends: list[str]) -> None:
    resident = make("""read word; echo "{\\"step\\": \\"$word\\"}"; kill -9 $$""")
    resident.start()
    assert loop.wait_for(lambda: len(answers) == 2, None)
    assert answers == [{"step": "hello"}] * 2
    assert ends[0] == "signal 9"
    resident.close()


def test_one_that_lacks_what_it_needs_is_never_started_again(loop: Loop, make: Make, ends: list[str]) -> None:
    resident = make("exit 69")
    resident.start()
    assert loop.wait_for(lambda: bool(ends), None)
    resident.start()
    assert not resident.running
    assert (ends, loop._timers.next) == (["exit code 69"], None)


def test_what_makes_no_sense_is_passed_over(loop: Loop, make: Make, answers: list[Mapping[str, Any]]) -> None:
    resident = make("""printf 'no JSON\\n[1]\\n7\\n\\377\\n{"step": "said"}\\n'; exec cat""")
    resident.start()
    assert loop.wait_for(lambda: bool(answers), None)
    assert answers == [{"step": "said"}]
    resident.close()
    assert loop.wait_for(lambda: not resident.running, clock.now() + 3600)


def test_a_long_greeting_does_not_count_as_being_behind(loop: Loop) -> None:
    greeting = b"x" * (4 * BACKLOG_LIMIT)
    never_reads = ["/bin/sh", "-c", "kill -STOP $$"]
    resident = Resident(loop, "slow", lambda: never_reads, os.environ, greet=lambda: greeting, answer=lambda _: None, ended=lambda _: None)

    resident.start()

    assert resident.feed(b"a line\n")
    assert resident.feed(b"x" * BACKLOG_LIMIT + b"x" * (64 << 10))  # a pipe has taken a part of the greeting
    assert not resident.feed(b"one too many\n")
    resident.close()
