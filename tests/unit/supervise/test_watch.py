"""The watch's own life over a real loop: when it looks, what it leaves behind, and looks that never start or never end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from machines import healthy

from firstlight.journal.journal import Journal
from firstlight.probe import children, look
from firstlight.supervise.vigil import Policy
from firstlight.supervise.watch import Watch
from firstlight.system import clock
from firstlight.system.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    for process in list(made.children.running.values()):
        made.end(process)
    made.close()


def watch(loop: Loop, *, period: float = 0.01, deadline: float = 60.0) -> tuple[Watch, Journal]:
    """A watch with its journal, over what this machine is; it has no GPU, and what is found on it is not the matter here."""
    journal = Journal(loop, None, {}, started=clock.now())
    made = Watch(
        loop,
        dict(os.environ),
        healthy(),
        period=period,
        deadline=deadline,
        policy=Policy.NOTE,
        journal=journal,
        tell=lambda line: None,
    )
    return made, journal


def hanging(loop: Loop, *_: Any) -> Any:
    """In place of a look: a process that says nothing and does not end."""
    return loop.start(["/bin/sleep", "1000"], os.environ, name="watch")


def conditions(journal: Journal) -> list[str]:
    return [fault["fault"] for event in journal.events if event.kind == "condition" for fault in event.data["faults"]]


@pytest.mark.parametrize("_", range(5))
def test_the_first_look_comes_about_one_period_after_ready(_: int, loop: Loop) -> None:
    begun = clock.now()
    made, _journal = watch(loop, period=1000.0)
    due = loop._timers.next
    assert due is not None
    assert 900 <= due - begun <= 1101
    assert not loop.children.running
    made.end()


def test_looks_follow_one_another(loop: Loop) -> None:
    made, _ = watch(loop)
    assert loop.wait_for(lambda: made.looks >= 3, None)
    assert len(loop.children.running) <= 1
    made.end()


def test_after_its_end_nothing_is_left_though_a_look_hangs(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "watcher", lambda *_: hanging(loop))
    loop.wait_for(lambda: False, clock.now())  # the loop's own descriptors are there from its first turn on
    before = len(os.listdir("/proc/self/fd"))
    made, _ = watch(loop)
    loop.wait_for(lambda: bool(loop.children.running), None)
    made.end()
    assert loop.wait_for(lambda: not loop.children.running, None)
    assert (loop.listeners, loop._timers.next) == ([], None)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_look_that_hangs_is_killed(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(children, "watcher", lambda *_: started.append(hanging(loop)) or started[-1])
    made, _ = watch(loop, deadline=0.01)
    assert loop.wait_for(lambda: len(started) > 1, None)
    assert started[0].status == -9
    made.end()


def test_a_look_that_cannot_be_started_is_counted_and_finds_nothing(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/interpreter")
    monkeypatch.setattr(look.devices, "collect", lambda opened: healthy().devices)
    made, journal = watch(loop)
    assert loop.wait_for(lambda: made.looks >= 3, None)
    made.end()
    assert conditions(journal) == []


def test_a_look_that_not_even_a_kill_ends_is_the_only_one_and_counts_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(children, "watcher", lambda *_: started.append(hanging(loop)) or started[-1])
    monkeypatch.setattr(look.devices, "collect", lambda opened: healthy().devices)
    made, journal = watch(loop, deadline=0.01)
    with monkeypatch.context() as unkillable:
        unkillable.setattr(loop.children, "send", lambda *_: False)
        assert loop.wait_for(lambda: bool(conditions(journal)), None)
    assert (conditions(journal), len(started)) == (["probe-hung"], 1)
    loop.children.send(started[0], 9)
    assert loop.wait_for(lambda: len(started) > 1, None)  # it is gone at last, and looks go on
    made.end()
