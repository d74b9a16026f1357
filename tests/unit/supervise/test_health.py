"""What is seen of an app → alive, ready, why not, and the news, as a table; and what holds over any sequence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from firstlight.apps.app import Check, Kind, Level, Meaning, OnFailure, Pattern
from firstlight.supervise import health
from firstlight.supervise.health import Health, News, Ready, RestartAsked, Turned, Unready
from firstlight.supervise.restart import Cause

WEB = Check(name="web", level=Level.READY, kind=Kind.HTTP, target="http://127.0.0.1/")
PORT = Check(name="port", level=Level.ALIVE, kind=Kind.TCP, target="127.0.0.1:1", on_failure=OnFailure.RESTART)
NOTED = Check(name="noted", level=Level.ALIVE, kind=Kind.TCP, target="127.0.0.1:1")
QUEUE = Check(name="queue", level=Level.ALIVE, kind=Kind.HTTP, on_failure=OnFailure.RESTART, means=Meaning.ZOMBIE)
LISTENS = Check(name="listens", level=Level.READY, kind=Kind.LOG, target="Listening on")
PANICS = Check(name="panics", level=Level.ALIVE, kind=Kind.LOG, target="panic:", on_failure=OnFailure.RESTART)
TOLD = Check(name="told", level=Level.READY, kind=Kind.NOTIFY)
STRICT = Check(name="strict", level=Level.READY, kind=Kind.HTTP, on_failure=OnFailure.RESTART)

PATTERNS = (
    Pattern("cuda-error", Meaning.CUDA, (), b"x"),
    Pattern("cuda-sticky", Meaning.POISONED, (), b"x"),
    Pattern("worker-died", Meaning.ZOMBIE, (), b"x"),
)

Seen = Callable[[Health], tuple[Health, tuple[News, ...]]]


def start(now: Health) -> tuple[Health, tuple[News, ...]]:
    return health.started(now)


def stop(now: Health) -> tuple[Health, tuple[News, ...]]:
    return health.stopping(now, "signal 15")


def end(now: Health) -> tuple[Health, tuple[News, ...]]:
    return health.ended(now, "ended with exit code 1")


def yes(check: Check) -> Seen:
    return lambda now: health.answered(now, check.name, True, "200")


def no(check: Check) -> Seen:
    return lambda now: health.answered(now, check.name, False, "503")


def line(name: str, text: str = "the line") -> Seen:
    return lambda now: health.printed(now, name, text, at=100.0)


def told(ready: bool) -> Seen:
    return lambda now: health.notified(now, ready, "READY=1" if ready else "RELOADING=1")


def after(checks: tuple[Check, ...], *seen: Seen) -> tuple[Health, list[News]]:
    now = health.begin(checks, PATTERNS)
    news: list[News] = []
    for one in seen:
        now, more = one(now)
        news += more
    return now, news


# checks, what is seen, alive, ready (or a part of why not), the news by their sort
CASES: dict[str, tuple[tuple[Check, ...], tuple[Seen, ...], bool, bool | str, list[type]]] = {
    "before its start": ((), (), False, "not been started", []),
    "with no check it is ready once started": ((), (start,), True, True, [Ready]),
    "a ready check that has not answered": ((WEB,), (start,), True, "check web: no answer yet", []),
    "a ready check that succeeds": ((WEB,), (start, yes(WEB)), True, True, [Turned, Ready]),
    "a ready check that fails first": ((WEB,), (start, no(WEB)), True, "check web: 503", [Turned]),
    "a ready check that fails later": ((WEB,), (start, yes(WEB), no(WEB)), True, "check web: 503", [Turned, Ready, Turned, Unready]),
    "and recovers": ((WEB,), (start, yes(WEB), no(WEB), yes(WEB)), True, True, [Turned, Ready, Turned, Unready, Turned, Ready]),
    "the same answer twice is no news": ((WEB,), (start, yes(WEB), yes(WEB)), True, True, [Turned, Ready]),
    "an alive check alone has to succeed first": ((PORT,), (start,), True, "check port: no answer yet", []),
    "one of two": ((PORT, WEB), (start, yes(WEB)), True, "check port", [Turned]),
    "both": ((PORT, WEB), (start, yes(WEB), yes(PORT)), True, True, [Turned, Turned, Ready]),
    "not alive means not ready": (
        (PORT, WEB),
        (start, yes(WEB), yes(PORT), no(PORT)),
        False,
        "check port: 503",
        [Turned, Turned, Ready, Turned, Unready, RestartAsked],
    ),
    "a failure that is only noted": ((NOTED,), (start, yes(NOTED), no(NOTED)), False, "check noted", [Turned, Ready, Turned, Unready]),
    "a ready check that asks for a restart": ((STRICT,), (start, no(STRICT)), True, "check strict", [Turned, RestartAsked]),
    "a restart is asked for once": ((PORT, STRICT), (start, no(PORT), no(STRICT)), False, "check port", [Turned, RestartAsked, Turned]),
    "a line proves that it is ready": ((LISTENS,), (start, line("listens")), True, True, [Turned, Ready]),
    "and is not taken back": ((LISTENS,), (start, line("listens"), line("listens")), True, True, [Turned, Ready]),
    "a line that was not printed": ((LISTENS,), (start,), True, "check listens: has not printed it yet", []),
    "a line that tells of a failure was not printed": ((PANICS,), (start,), True, True, [Ready]),
    "a line of an app that failed": (
        (PANICS,),
        (start, line("panics")),
        False,
        "check panics: printed 'the line'",
        [Ready, Turned, Unready, RestartAsked],
    ),
    "it says that it is ready": ((TOLD,), (start, told(True)), True, True, [Turned, Ready]),
    "it says that it reloads": ((TOLD,), (start, told(True), told(False)), True, "RELOADING", [Turned, Ready, Turned, Unready]),
    "what it says is nothing to us without such a check": ((WEB,), (start, told(True)), True, "check web", []),
    "poisoned": ((WEB,), (start, yes(WEB), line("cuda-sticky")), False, "CUDA context is broken", [Turned, Ready, Unready, RestartAsked]),
    "a zombie by its line": ((), (start, line("worker-died")), False, "is dead: it printed 'the line'", [Ready, Unready, RestartAsked]),
    "an error of CUDA alone changes nothing": ((), (start, line("cuda-error")), True, True, [Ready]),
    "a line that nobody looks for": ((), (start, line("unheard-of")), True, True, [Ready]),
    "an answer to a check that is not there": ((), (start, lambda now: health.answered(now, "gone", False, "503")), True, True, [Ready]),
    "a stop takes readiness back at once": ((WEB,), (start, yes(WEB), stop), True, "stopped: signal 15", [Turned, Ready, Unready]),
    "and nothing gives it back": ((WEB,), (start, stop, yes(WEB)), True, "stopped", [Turned]),
    "an end takes readiness back at once": ((WEB,), (start, yes(WEB), end), False, "exit code 1", [Turned, Ready, Unready]),
    "an answer after the end": ((WEB,), (start, end, yes(WEB)), False, "exit code 1", []),
    "what it said before the end, and is heard after it": ((TOLD,), (start, end, told(True)), False, "exit code 1", []),
    "a line that is found after the end": ((), (start, end, line("cuda-sticky")), False, "exit code 1", [Ready, Unready]),
    "an answer before the start": ((WEB,), (yes(WEB), start), True, True, [Turned, Ready]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_seen_makes_it_alive_and_ready(name: str) -> None:
    checks, seen, alive, ready, expected = CASES[name]

    now, news = after(checks, *seen)

    assert now.alive is alive
    assert now.ready is (ready is True)
    if isinstance(ready, str):
        assert ready in now.why_not_ready
    assert [type(one) for one in news] == expected


def test_what_the_checker_tells_before_it_has_judged_is_why_the_app_is_not_ready() -> None:
    waiting: Seen = lambda now: health.answered(now, "web", None, "Connection refused")  # noqa: E731 - one of a table's

    now, news = after((WEB,), start, waiting)
    assert (now.why_not_ready, news) == ("check web: Connection refused", [])

    now, _ = after((WEB,), start, yes(WEB), waiting)
    assert now.ready


ENDS = {
    "with a code": ((start,), 3, 100.0, Cause.APP, "ended with exit code 3"),
    "by a signal": ((start,), -9, 100.0, Cause.APP, "killed by signal 9"),
    "just after an error of CUDA": ((start, line("cuda-error", "CUDA error: x")), 1, 101.0, Cause.CUDA, "CUDA error: x"),
    "long after an error of CUDA": ((start, line("cuda-error")), 1, 131.0, Cause.APP, "exit code 1"),
    "well after an error of CUDA": ((start, line("cuda-error")), 0, 101.0, Cause.APP, "exit code 0"),
    "poisoned, and killed for it": ((start, line("cuda-sticky", "sticky")), -9, 120.0, Cause.POISONED, "sticky"),
    "the first cause counts": ((start, line("cuda-sticky", "first"), line("worker-died", "second")), -9, 101.0, Cause.POISONED, "first"),
    "a failed check": ((start, no(PORT)), -15, 101.0, Cause.CHECK, "check port failed: 503"),
    "a failed check that means a zombie": ((start, no(QUEUE)), -2, 101.0, Cause.ZOMBIE, "check queue failed: 503"),
}


@pytest.mark.parametrize("name", ENDS)
def test_why_it_ended(name: str) -> None:
    seen, status, at, cause, words = ENDS[name]

    now, _ = after((PORT, QUEUE), *seen)
    found = health.cause_of_end(now, status, at=at)

    assert found[0] is cause
    assert words in found[1]


ALL_CHECKS = (WEB, PORT, NOTED, QUEUE, LISTENS, PANICS, TOLD, STRICT)
ANYTHING = st.one_of(
    st.just(start),
    st.just(stop),
    st.just(end),
    st.sampled_from([WEB, PORT, NOTED, QUEUE, STRICT]).flatmap(lambda check: st.sampled_from([yes(check), no(check)])),
    st.sampled_from(["listens", "panics", "cuda-error", "cuda-sticky", "worker-died"]).map(line),
    st.booleans().map(told),
)


@given(st.sets(st.sampled_from(ALL_CHECKS)), st.lists(ANYTHING, max_size=40))
def test_over_any_sequence_ready_implies_alive_and_the_news_alternate(checks: set[Check], seen: list[Seen]) -> None:
    now = health.begin(checks, PATTERNS)
    ready, asked = False, 0
    for one in seen:
        before = now
        now, news = one(now)
        assert now.alive or not now.ready
        assert bool(now.why_not_ready) is not now.ready
        for new in news:
            if isinstance(new, (Ready, Unready)):
                assert isinstance(new, Ready) is not ready
                ready = not ready
            asked += isinstance(new, RestartAsked)
        assert ready is now.ready
        assert asked == (now.asked is not None)
        assert before.asked is None or now.asked == before.asked
