"""How a boot stands, out of its events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.journal import legs
from firstlight.journal.event import Condition, Event, Stage
from firstlight.journal.legs import Accepted, Leg


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A fault that was found, and is not known to have passed."""

    fault: str
    sentence: str
    quotes: Mapping[str, str]
    persistence: str
    actor: str
    stops: bool = True  # it keeps CUDA from working; what does not is no root cause of a failure


@dataclass(frozen=True, kw_only=True)
class CheckState:
    """What a check of the app last said; `ok` is None as long as it has said nothing in this life of the app."""

    check: str
    level: str  # alive or ready
    ok: bool | None
    words: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A process that runs beside the app. `pid` is None while it does not run."""

    name: str
    pid: int | None
    starts: int
    code: int | None  # of its last end


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a boot stands. `condition` is None as long as no diagnosis was made."""

    boot: str
    stage: Stage
    condition: Condition | None
    ready: bool
    since: str  # when the stage, or readiness, began
    started_at: str
    updated_at: str
    seconds: float  # from the start to the last event
    probes: int  # how often the machine was probed
    driver: str | None  # the version of the kernel driver, where it is known
    usable: int | None
    expected: int | None
    findings: tuple[Seen, ...]  # of the last diagnosis, or of the last look at a running app
    remedies: tuple[str, ...]  # those that were applied
    app_pid: int | None  # None while it does not run
    app_code: int | None  # of its last end
    lives: int  # how often the app was started
    restart_reason: str | None  # why it was last started again
    checks: tuple[CheckState, ...]
    companions: tuple[Companion, ...]
    hold: str | None  # why we only stay up, while we do
    asks: str | None  # what a control plane is asked for: "relocate"
    moving: bool  # another pod is being ordered in this one's place, by us
    move: str | None  # what was last said of that
    legs: tuple[Leg, ...]  # of the way to the first verified generation
    verified_after: float | None  # seconds from the start to that
    verified_cold: bool | None  # what made it had run nothing before; None where that is not known
    accepted: Accepted | None  # what the last acceptance has found
    late: str | None  # that it took longer than its budget, and which leg was the slowest
    code: int | None  # firstlight's own exit code, once it has ended

    @property
    def root(self) -> Seen | None:
        """The root cause, as a diagnosis names it: the first fault that stops CUDA, else the first of the others."""
        return next((seen for seen in self.findings if seen.stops), next(iter(self.findings), None))

    @property
    def cause(self) -> str | None:
        """The root cause's name."""
        return self.root.fault if self.root else None

    @property
    def sentence(self) -> str | None:
        """The evidence for it."""
        return self.root.sentence if self.root else None


def status(events: Sequence[Event]) -> Status:
    """How a boot stands after these events, of which there must be one at least."""
    findings, condition = _findings(events)
    stage = events[-1].stage
    holding = _since(events, "hold", ("retry", "end"))
    running = _since(events, "app-started", ("app-exited",))
    move = _since(events, "relocation", ("hold", "retry", "end"))
    verified = legs.verified(events)
    return Status(
        boot=events[0].boot,
        stage=stage,
        condition=Condition.FAILED if holding is not None else condition,
        ready=stage is Stage.READY,
        since=_stage_began(events),
        started_at=events[0].at,
        updated_at=events[-1].at,
        seconds=events[-1].since_start,
        probes=sum(event.kind == "stage" and event.stage is Stage.PROBE for event in events),
        driver=_text(_last(events, "diagnosis", "driver")),
        usable=_number(_last(events, "diagnosis", "usable")),
        expected=_number(_last(events, "diagnosis", "expected")),
        findings=findings,
        remedies=tuple(_applied(events)),
        app_pid=_number(running.data.get("pid")) if running else None,
        app_code=_number(_last(events, "app-exited", "code")),
        lives=_number(_last(events, "app-started", "life")) or 0,
        restart_reason=_text(_last(events, "restart", "reason")),
        checks=_checks(events),
        companions=_companions(events),
        hold=str(holding.data.get("reason")) if holding else None,
        asks=_text(holding.data.get("asks")) if holding else None,
        moving=move is not None and move.data.get("step") not in ("cannot", "undone"),
        move=_text(move.data.get("words")) if move is not None else None,
        legs=legs.legs(events),
        verified_after=None if verified is None else verified.after,
        verified_cold=None if verified is None else verified.cold,
        accepted=legs.accepted(events),
        late=_text(_last(events, "over-budget", "words")),
        code=_number(_last(events, "end", "code")),
    )


def _findings(events: Sequence[Event]) -> tuple[tuple[Seen, ...], Condition | None]:
    """What was last found, by a diagnosis, by a look at the running app or in its start, and what condition that is."""
    findings: list[Seen] = []
    of_app: list[Seen] = []  # of the start that is under way, or is over well
    condition: Condition | None = None
    for event in events:
        if event.kind == "app-look":
            of_app = []
        elif event.kind == "app-fault":
            of_app.append(_seen(event.data))
        elif event.kind == "ready":
            of_app = [seen for seen in of_app if seen.persistence != "transient"]
        if event.kind == "stage" and event.stage is Stage.PROBE:
            findings = []
        elif event.kind == "finding":
            findings.append(_seen(event.data))
        elif event.kind == "diagnosis":
            condition = _diagnosed(event.data, findings)
        elif event.kind == "give-up":
            condition = Condition.FAILED
        elif event.kind == "condition":
            faults = event.data.get("faults")
            findings = [_seen(fault) for fault in faults if isinstance(fault, dict)] if isinstance(faults, list) else []
            try:
                condition = Condition(event.data.get("condition"))
            except ValueError:
                condition = Condition.DEGRADED
    if (of_app or any(event.kind == "over-budget" for event in events)) and condition in (None, Condition.HEALTHY):
        condition = Condition.DEGRADED
    return (*findings, *of_app), condition


def _seen(data: Mapping[str, Any]) -> Seen:
    quotes = data.get("quotes")
    return Seen(
        fault=str(data.get("fault")),
        sentence=str(data.get("sentence")),
        quotes={str(name): str(value) for name, value in quotes.items()} if isinstance(quotes, dict) else {},
        persistence=str(data.get("persistence", "")),
        actor=str(data.get("actor", "")),
        stops=data.get("stops") is not False,
    )


def _diagnosed(data: Mapping[str, Any], findings: Sequence[Seen]) -> Condition | None:
    usable = _number(data.get("usable"))
    if usable is None:
        return None
    if usable == 0:
        return Condition.FAILED
    return Condition.DEGRADED if findings or usable < (_number(data.get("expected")) or 0) else Condition.HEALTHY


def _checks(events: Iterable[Event]) -> tuple[CheckState, ...]:
    """Every check that this life of the app has, in the order in which they were named."""
    states: dict[str, CheckState] = {}
    for event in events:
        data = event.data
        if event.kind == "app-started":
            listed = data.get("checks")
            states = {}
            for check in listed if isinstance(listed, list) else ():
                if isinstance(check, dict):
                    name = str(check.get("check"))
                    states[name] = CheckState(check=name, level=str(check.get("level")), ok=None, words="", at=event.at)
        elif event.kind == "check":
            name = str(data.get("check"))
            ok = data.get("ok")
            states[name] = CheckState(
                check=name,
                level=str(data.get("level")),
                ok=ok if isinstance(ok, bool) else None,
                words=str(data.get("words", "")),
                at=event.at,
            )
    return tuple(states.values())


def _companions(events: Iterable[Event]) -> tuple[Companion, ...]:
    states: dict[str, Companion] = {}
    for event in events:
        if event.kind in ("companion-started", "companion-exited"):
            name = str(event.data.get("name"))
            before = states.get(name) or Companion(name=name, pid=None, starts=0, code=None)
            if event.kind == "companion-started":
                states[name] = Companion(name=name, pid=_number(event.data.get("pid")), starts=before.starts + 1, code=before.code)
            else:
                states[name] = Companion(name=name, pid=None, starts=before.starts, code=_number(event.data.get("code")))
    return tuple(states.values())


def _stage_began(events: Sequence[Event]) -> str:
    """When the stage that the boot is in began."""
    began = events[-1]
    for event in reversed(events):
        if event.stage is not began.stage:
            break
        began = event
    return began.at


def _applied(events: Iterable[Event]) -> Iterable[str]:
    return (str(event.data.get("remedy")) for event in events if event.kind == "remedy" and event.data.get("outcome") == "applied")


def _since(events: Sequence[Event], kind: str, ends: tuple[str, ...]) -> Event | None:
    """The last event of a kind, unless one of those that end it came after."""
    for event in reversed(events):
        if event.kind == kind:
            return event
        if event.kind in ends:
            return None
    return None


def _last(events: Sequence[Event], kind: str, name: str) -> Any:
    """A field of the last event of a kind; None when there is none."""
    return next((event.data.get(name) for event in reversed(events) if event.kind == kind), None)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
