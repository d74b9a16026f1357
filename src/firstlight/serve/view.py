"""What the journal amounts to, for people and for probes: events in, a `View` out. Pure.

`journal.status` says how the boot stands; here come the words for it, the proof of each GPU, and the pages of the faults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstlight.faults import catalogue
from firstlight.faults.fault import Actor, Fault, Persistence
from firstlight.journal.event import Event
from firstlight.journal.status import Seen, Status, status
from firstlight.journal.timeline import Span, timeline
from firstlight.serve import proofs, reading, sentence
from firstlight.serve.proofs import Gpu

# An app that never stops restarting would fill the page.
_ROWS = 40


@dataclass(frozen=True, kw_only=True)
class Found:
    """A fault that stands, with its page."""

    fault: str
    sentence: str
    quotes: Mapping[str, str]
    title: str = ""
    cure: str = ""
    actor: str = ""
    time: str = ""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The root cause of what stands, in the words of the catalogue, for programs."""

    fault: str
    sentence: str
    layer: str  # empty for a fault that this version does not know
    actor: str  # container, image or provider
    persistence: str  # transient, bounded or permanent
    host_fault: bool  # only another host can help


@dataclass(frozen=True, kw_only=True)
class Done:
    """A remedy and what came of it."""

    remedy: str
    outcome: str
    words: str


@dataclass(frozen=True, kw_only=True)
class View:
    """All that is shown of a boot, beside its `status`."""

    status: Status
    app: str  # what it is called: its recipe, else its command
    headline: str
    detail: str
    stage_at: float  # seconds from the start of the boot to the beginning of this stage
    started: bool  # the app has been ready once
    ready_after: float | None  # seconds from the start of the boot until the app was ready first
    gpus: tuple[Gpu, ...]
    findings: tuple[Found, ...]
    cause: Cause | None  # the first of them that stops CUDA
    remedies: tuple[Done, ...]
    restarts: Mapping[str, int]  # by cause
    spans: tuple[Span, ...]
    spans_left_out: int
    app_started: str | None  # the wall clock
    command: tuple[str, ...]
    orphans_reaped: int
    notes: tuple[str, ...]  # our own last words


def look(events: Sequence[Event]) -> View:
    """What these events amount to. There must be one at least."""
    stands = status(events)
    headline, detail = sentence.say(events, stands)
    first_ready = next((event for event in events if event.kind == "ready"), None)
    app = reading.last(events, "app-started")
    spans = timeline(events)
    return View(
        status=stands,
        app=_called(events),
        headline=headline,
        detail=detail,
        stage_at=_stage_at(events),
        started=first_ready is not None,
        ready_after=first_ready.since_start if first_ready else None,
        gpus=proofs.gpus(events),
        findings=tuple(map(_with_page, stands.findings)),
        cause=_cause(stands.root),
        remedies=tuple(
            Done(remedy=str(event.data.get("remedy")), outcome=str(event.data.get("outcome")), words=str(event.data.get("words", "")))
            for event in events
            if event.kind == "remedy"
        ),
        restarts=_restarts(events),
        spans=tuple(spans[-_ROWS:]),
        spans_left_out=max(0, len(spans) - _ROWS),
        app_started=app.at if app else None,
        command=tuple(str(word) for word in reading.items(reading.field(events, "boot", "command"))),
        orphans_reaped=reading.whole(reading.field(events, "app-exited", "orphans_reaped")) or 0,
        notes=tuple(str(event.data.get("words", "")) for event in events if event.kind in ("log", "failure"))[-5:],
    )


def _restarts(events: Sequence[Event]) -> Mapping[str, int]:
    """By cause. Each of them counts all before it, since a long run has more than are kept."""
    causes = reading.field(events, "restart", "causes")
    counts = {str(cause): reading.whole(count) for cause, count in causes.items()} if isinstance(causes, Mapping) else {}
    return {cause: count for cause, count in counts.items() if count is not None}


def _called(events: Sequence[Event]) -> str:
    recipe = reading.text(reading.inside(reading.field(events, "boot", "settings"), "app"))
    command = [str(word) for word in reading.items(reading.field(events, "boot", "command"))]
    return recipe or (command[0].rpartition("/")[2] if command else "")


def _stage_at(events: Sequence[Event]) -> float:
    began = events[-1]
    for event in reversed(events):
        if event.stage is not began.stage:
            break
        began = event
    return began.since_start


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


def _known(fault_id: str) -> Fault | None:
    return next((fault for fault in catalogue.CATALOGUE if fault.id == fault_id), None)


def _cause(seen: Seen | None) -> Cause | None:
    if seen is None:
        return None
    fault = _known(seen.fault)
    return Cause(
        fault=seen.fault,
        sentence=seen.sentence,
        layer=fault.layer.value if fault else "",
        actor=seen.actor,
        persistence=seen.persistence,
        host_fault=fault is not None and fault.host_fault,
    )


def _with_page(seen: Seen) -> Found:
    fault = _known(seen.fault)
    page = catalogue.page(fault) if fault else ""
    return Found(
        fault=seen.fault,
        sentence=seen.sentence,
        quotes=seen.quotes,
        title=page.partition("\n")[0],
        cure=" ".join(page.partition("\nCure\n")[2].split()),
        actor=_ACTORS.get(seen.actor, ""),
        time=_TIMES.get(seen.persistence, ""),
    )
