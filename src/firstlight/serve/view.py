"""What the journal amounts to, for people and for probes: events in, a `View` out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.faults import catalogue
from firstlight.faults.fault import Actor, Persistence
from firstlight.journal import read
from firstlight.journal.event import Condition, Event, Stage
from firstlight.journal.read import Span
from firstlight.serve import proofs, reading, sentence

# An app that never stops restarting would fill the page.
_ROWS = 60


@dataclass(frozen=True, kw_only=True)
class Found:
    """A fault that stands, with its page."""

    fault: str
    sentence: str
    quotes: tuple[tuple[str, str], ...] = ()
    title: str = ""
    cure: str = ""
    advice: str = ""
    actor: str = ""
    time: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """How one check of the app stands."""

    name: str
    level: str  # alive, ready
    ok: bool
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A process beside the app."""

    name: str
    pid: int | None = None
    running: bool = True
    ended: int = 0  # how often
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Why a boot holds, and what it asks for."""

    reason: str
    asks: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """All that is shown of a boot."""

    boot: str
    stage: Stage
    condition: Condition | None
    since: str  # the wall clock when this stage began
    since_start: float
    started_at: str
    updated_at: str
    seconds: float  # from the start of the boot to the last event
    headline: str
    detail: str
    ready: bool
    started: bool  # the app has been ready once
    ready_after: float | None  # seconds from the start of the boot until the app was ready first
    usable: int | None
    expected: int | None
    gpus: tuple[proofs.Gpu, ...]
    findings: tuple[Found, ...]
    remedies: tuple[tuple[str, str, str], ...]  # remedy, outcome, words
    checks: tuple[Check, ...]
    companions: tuple[Companion, ...]
    restarts: Mapping[str, int]  # by cause
    last_restart: str
    hold: Hold | None
    spans: tuple[Span, ...]
    app_running: bool
    app_pid: int | None
    app_started: str | None  # the wall clock
    command: tuple[str, ...]
    code: int | None
    orphans_reaped: int
    notes: tuple[str, ...]


def look(events: Sequence[Event]) -> View:
    """What these events amount to. There must be one at least."""
    stands = read.status(events)
    findings = _findings(events)
    condition = _condition(events, stands.condition)
    current = _stage_began(events)
    app = reading.last(events, "app-started")
    app_running = app is not None and not reading.after(events, app, "app-exited", "end")
    ready = _ready(events)
    first_ready = next((event for event in events if event.kind == "ready"), None)
    hold = _hold(events)
    checks = _checks(events)
    headline, detail = sentence.say(
        events,
        condition,
        cause=f"{findings[0].fault}: {findings[0].sentence}" if findings else "",
        failing="; ".join(f"{check.name}: {check.words or 'not yet'}" for check in checks if not check.ok),
        ready=ready,
        app_running=app_running,
        held=hold.reason if hold is not None else None,
    )
    restarts: dict[str, int] = {}
    for event in events:
        if event.kind == "restart":
            cause = str(event.data.get("cause", "app"))
            restarts[cause] = restarts.get(cause, 0) + 1
    return View(
        boot=stands.boot,
        stage=stands.stage,
        condition=condition,
        since=current.at,
        since_start=current.since_start,
        started_at=stands.started_at,
        updated_at=stands.updated_at,
        seconds=stands.seconds,
        headline=headline,
        detail=detail,
        ready=ready,
        started=first_ready is not None,
        ready_after=first_ready.since_start if first_ready else None,
        usable=stands.usable,
        expected=stands.expected,
        gpus=proofs.gpus(events),
        findings=findings,
        remedies=tuple(
            (str(event.data.get("remedy")), str(event.data.get("outcome")), str(event.data.get("words", "")))
            for event in events
            if event.kind == "remedy"
        ),
        checks=checks,
        companions=_companions(events),
        restarts=restarts,
        last_restart=str(reading.field(events, "restart", "reason") or ""),
        hold=hold,
        spans=tuple(read.timeline(events)[-_ROWS:]),
        app_running=app_running,
        app_pid=stands.app_pid if app_running else None,
        app_started=app.at if app else None,
        command=tuple(
            str(word) for word in reading.items(reading.field(events, "app-started", "command") or reading.field(events, "boot", "command"))
        ),
        code=stands.code,
        orphans_reaped=reading.whole(reading.field(events, "app-exited", "orphans_reaped")) or 0,
        notes=tuple(str(event.data.get("words", "")) for event in events if event.kind == "log")[-5:],
    )


def _stage_began(events: Sequence[Event]) -> Event:
    place = len(events) - 1
    while place and events[place - 1].stage is events[-1].stage and events[place].kind != "stage":
        place -= 1
    return events[place]


def _ready(events: Sequence[Event]) -> bool:
    """Whether the app is: what was said last of it."""
    for event in reversed(events):
        if event.kind == "ready":
            return True
        if event.kind in ("unready", "app-started", "app-exited", "restart", "hold", "give-up", "end", "retry"):
            return False
        if event.kind == "signal" and event.stage is Stage.STOP:
            return False
    return False


def _condition(events: Sequence[Event], at_boot: Condition | None) -> Condition | None:
    """What the watch saw last, unless the GPUs were probed again since; else what the boot found."""
    for event in reversed(events):
        if event.kind == "condition":
            try:
                return Condition(event.data.get("condition"))
            except ValueError:
                continue
        if event.kind == "diagnosis":
            break
    return at_boot


def _findings(events: Sequence[Event]) -> tuple[Found, ...]:
    found: dict[str, Found] = {}
    for event in events:
        if event.kind == "stage" and event.stage is Stage.PROBE:
            found = {}
        elif event.kind == "finding":
            one = _found(event.data)
            found[one.fault] = one
        elif event.kind == "condition":
            found = {one.fault: one for one in map(_found, reading.items(event.data.get("faults"))) if one.fault}
    return tuple(found.values())


def _found(data: Any) -> Found:
    data = data if isinstance(data, Mapping) else {}
    quotes = data.get("quotes")
    pairs = (
        quotes.items()
        if isinstance(quotes, Mapping)
        else (pair for pair in reading.items(quotes) if isinstance(pair, (list, tuple)) and len(pair) == 2)
    )
    name = str(data.get("fault", ""))
    page = _pages().get(name, ("", "", ""))
    return Found(
        fault=name,
        sentence=str(data.get("sentence", "")),
        quotes=tuple((str(key), str(value)) for key, value in pairs),
        title=page[0],
        cure=page[1],
        advice=page[2],
        actor=_ACTORS.get(str(data.get("actor")), ""),
        time=_TIMES.get(str(data.get("persistence")), ""),
    )


_ACTORS = {
    Actor.CONTAINER.value: "whoever starts this container or the app in it",
    Actor.IMAGE.value: "whoever builds the image or sets up the container",
    Actor.PROVIDER.value: "whoever runs this host",
}
_TIMES = {
    Persistence.TRANSIENT.value: "waiting cures it",
    Persistence.BOUNDED.value: "waiting may cure it",
    Persistence.PERMANENT.value: "waiting never cures it",
}


def _pages() -> dict[str, tuple[str, str, str]]:
    """Title, cure and advice of every fault."""
    if not _PAGES:
        for fault in catalogue.CATALOGUE:
            page = catalogue.page(fault)
            cure = page.partition("\nCure\n")[2]
            _PAGES[fault.id] = (page.partition("\n")[0], " ".join(cure.split()), fault.advice)
    return _PAGES


_PAGES: dict[str, tuple[str, str, str]] = {}


def _checks(events: Sequence[Event]) -> tuple[Check, ...]:
    """How each check stands in this life of the app."""
    checks: dict[str, Check] = {}
    for event in events:
        if event.kind == "app-started":
            checks = {name: Check(name=name, level=check.level, ok=False, words="not asked yet") for name, check in checks.items()}
        elif event.kind == "check":
            name = str(event.data.get("check"))
            ok = event.data.get("ok") is True
            checks[name] = Check(name=name, level=str(event.data.get("level", "ready")), ok=ok, words=str(event.data.get("words", "")))
    return tuple(checks.values())


def _companions(events: Sequence[Event]) -> tuple[Companion, ...]:
    found: dict[str, Companion] = {}
    for event in events:
        name = str(event.data.get("name", ""))
        ended = found[name].ended if name in found else 0
        if event.kind == "companion-started":
            found[name] = Companion(name=name, pid=reading.whole(event.data.get("pid")), ended=ended)
        elif event.kind == "companion-exited":
            delay = event.data.get("delay")
            again = (
                f"; starts again in {sentence.seconds_in_words(delay)}"
                if isinstance(delay, (int, float)) and not isinstance(delay, bool)
                else ""
            )
            found[name] = Companion(name=name, running=False, ended=ended + 1, words=f"exit code {event.data.get('code')}{again}")
    return tuple(found.values())


def _hold(events: Sequence[Event]) -> Hold | None:
    for event in reversed(events):
        if event.kind == "hold" or (event.kind == "give-up" and event.stage is Stage.HOLD):
            return Hold(reason=str(event.data.get("reason", "")), asks=_asks(event.data.get("asks")))
        if event.kind in ("retry", "stage", "end"):
            return None
    return None


def _asks(asks: Any) -> str:
    return ", ".join(str(one) for one in asks) if isinstance(asks, (list, tuple)) else str(asks or "")
