"""The reading side: events out of a journal, a status and a timeline out of events.

A journal lies on a volume that others may write to, and its writer may have been killed at any moment: lines that make no
sense are counted and skipped, and nothing that is not a plain file is read.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.errors import UsageError
from firstlight.journal.event import JOURNAL_VERSION, Condition, Event, Stage

# A boot writes some kilobytes. What is bigger than this is read up to here.
_SIZE_LIMIT = 16 << 20

# No boot lasts a century; a number beyond that is damage.
_LONGEST = 100 * 366 * 86400.0


@dataclass(frozen=True)
class Record:
    """One boot's journal as far as it can be read. `skipped` counts lines that could not."""

    boot: str
    events: tuple[Event, ...]
    skipped: int = 0


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a boot stands. `condition` is None as long as no diagnosis was made; `cause` is the first fault of the last one."""

    boot: str
    stage: Stage
    condition: Condition | None
    started_at: str
    updated_at: str
    seconds: float  # from the start to the last event
    probes: int  # how often the machine was probed
    usable: int | None
    expected: int | None
    cause: str | None
    sentence: str | None  # the evidence for the cause
    remedies: tuple[str, ...]  # those that were applied
    app_pid: int | None
    app_code: int | None
    code: int | None  # firstlight's own exit code, once it has ended


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a boot that was spent in one stage. The last one is `unfinished` while no end is recorded."""

    stage: Stage
    start: float  # seconds since the boot began
    seconds: float
    words: tuple[str, ...]
    unfinished: bool = False


def boots(directory: str) -> list[str]:
    """The ids of the recorded boots under a state directory, oldest first.

    Raises:
        UsageError: there is no journal.
    """
    try:
        names = os.listdir(os.path.join(directory, "boots"))
    except OSError as error:
        raise UsageError(f"cannot read a journal under {directory}: {error.strerror}") from None
    found = sorted(name[: -len(".jsonl")] for name in names if name.endswith(".jsonl"))
    if not found:
        raise UsageError(f"cannot find a recorded boot under {directory}")
    return found


def read(directory: str, boot: str | None = None) -> Record:
    """The journal of a boot, the latest unless told otherwise.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    chosen = boot or boots(directory)[-1]
    path = os.path.join(directory, "boots", chosen + ".jsonl")
    if os.sep in chosen:
        raise UsageError(f"cannot take {chosen!r} for a boot: it is not the name of one")
    try:
        content = _content(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    record = parse(chosen, content)
    if not record.events:
        raise UsageError(f"cannot read {path}: no line of it is an event of journal version {JOURNAL_VERSION}")
    return record


def _content(path: str) -> bytes:
    # O_NONBLOCK: somebody may have put a FIFO there.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "it is not a plain file")
        return file.read(_SIZE_LIMIT)


def parse(boot: str, content: bytes) -> Record:
    """The events in a journal's bytes, each number once. A torn line and what is of another version are skipped."""
    events: dict[int, Event] = {}
    skipped = 0
    for line in content.split(b"\n"):
        if not line:
            continue
        event = _event(line)
        if event is None:
            skipped += 1
        else:
            events.setdefault(event.number, event)
    return Record(boot, tuple(events[number] for number in sorted(events)), skipped)


def _event(line: bytes) -> Event | None:
    try:
        data = json.loads(line)
        if data.pop("v") != JOURNAL_VERSION:
            return None
        since_start = float(data.pop("s"))
        if not 0 <= since_start < _LONGEST:  # nan is not either
            return None
        return Event(
            boot=str(data.pop("boot")),
            number=int(data.pop("n")),
            kind=str(data.pop("kind")),
            stage=Stage(data.pop("stage")),
            at=str(data.pop("t")),
            since_start=since_start,
            data=data,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def status(events: Sequence[Event]) -> Status:
    """How a boot stands after these events, of which there must be one at least."""
    findings: list[Event] = []
    for event in events:
        if event.kind == "stage" and event.stage is Stage.PROBE:
            findings = []
        elif event.kind == "finding":
            findings.append(event)
    cause = findings[0] if findings else None
    return Status(
        boot=events[0].boot,
        stage=events[-1].stage,
        condition=_condition(events, findings),
        started_at=events[0].at,
        updated_at=events[-1].at,
        seconds=events[-1].since_start,
        probes=sum(event.kind == "stage" and event.stage is Stage.PROBE for event in events),
        usable=_number(_last(events, "diagnosis", "usable")),
        expected=_number(_last(events, "diagnosis", "expected")),
        cause=str(cause.data.get("fault")) if cause else None,
        sentence=str(cause.data.get("sentence")) if cause else None,
        remedies=tuple(_applied(events)),
        app_pid=_number(_last(events, "app-started", "pid")),
        app_code=_number(_last(events, "app-exited", "code")),
        code=_number(_last(events, "end", "code")),
    )


def _condition(events: Sequence[Event], findings: Sequence[Event]) -> Condition | None:
    usable = _number(_last(events, "diagnosis", "usable"))
    if any(event.kind == "give-up" for event in events) or usable == 0:
        return Condition.FAILED
    if usable is None:
        return None
    expected = _number(_last(events, "diagnosis", "expected"))
    return Condition.DEGRADED if findings or usable < (expected or 0) else Condition.HEALTHY


def _applied(events: Iterable[Event]) -> Iterable[str]:
    return (str(event.data.get("remedy")) for event in events if event.kind == "remedy" and event.data.get("outcome") == "applied")


def _last(events: Sequence[Event], kind: str, name: str) -> Any:
    """A field of the last event of a kind; None when there is none."""
    return next((event.data.get(name) for event in reversed(events) if event.kind == kind), None)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def timeline(events: Sequence[Event]) -> list[Span]:
    """Where the time went: one span for every stretch in one stage, in order, without gaps.

    An event says what happened up to it where it ends something (a diagnosis ends the probe), and what begins with it else;
    both are told by the stage that it carries.
    """
    spans: list[Span] = []
    for place, event in enumerate(events):
        following = events[place + 1].since_start if place + 1 < len(events) else event.since_start
        seconds = max(0.0, following - event.since_start)
        words = _words(event)
        if spans and spans[-1].stage is event.stage and event.kind != "stage":
            before = spans.pop()
            start, seconds, words = before.start, before.seconds + seconds, before.words + words
        else:
            start = event.since_start
        spans.append(Span(stage=event.stage, start=start, seconds=round(seconds, 4), words=words))
    if spans and events[-1].kind != "end":
        last = spans.pop()
        spans.append(Span(stage=last.stage, start=last.start, seconds=last.seconds, words=last.words, unfinished=True))
    return spans


def _words(event: Event) -> tuple[str, ...]:
    """What a person wants to know of an event, in a few words."""
    data = event.data
    if event.kind == "stage" and "attempt" in data:
        return (f"attempt {data['attempt']}",)
    if event.kind == "finding":
        return (str(data.get("fault")),)
    if event.kind == "diagnosis":
        return (f"{data.get('usable')} of {'?' if data.get('expected') is None else data['expected']} GPUs usable",)
    if event.kind == "remedy":
        return (f"{data.get('remedy')} {data.get('outcome')}",)
    if event.kind == "wait":
        return (f"for {data['fault']}" if data.get("fault") else "for a GPU",)
    if event.kind == "proof" and isinstance(data.get("seconds"), dict):
        return (", ".join(f"{step} {seconds:.3f} s" for step, seconds in data["seconds"].items() if isinstance(seconds, (int, float))),)
    if event.kind == "app-started":
        return (f"pid {data.get('pid')}",)
    if event.kind == "signal":
        return (f"signal {data.get('number')}",)
    if event.kind in ("app-exited", "end", "give-up"):
        return (f"exit code {data.get('code')}",)
    return ()
