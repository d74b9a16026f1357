"""Where the time of a boot went. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firstlight.journal.event import LONGEST_BOOT, Event, Stage


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a boot that was spent in one stage. The last one is `unfinished` while no end is recorded."""

    stage: Stage
    start: float  # seconds since the boot began
    seconds: float
    words: tuple[str, ...]
    unfinished: bool = False


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
    if event.kind in ("finding", "app-fault"):
        return (str(data.get("fault")),)
    if event.kind == "diagnosis":
        return (f"{data.get('usable')} of {'?' if data.get('expected') is None else data['expected']} GPUs usable",)
    if event.kind == "remedy":
        return (f"{data.get('remedy')} {data.get('outcome')}",)
    if event.kind == "wait":
        return (f"for {data['fault']}" if data.get("fault") else "for a GPU",)
    if event.kind == "proof" and isinstance(data.get("seconds"), dict):
        return (", ".join(f"{step} {seconds:.3f} s" for step, seconds in data["seconds"].items() if _is_duration(seconds)),)
    if event.kind == "app-started":
        return (f"pid {data.get('pid')}",)
    if event.kind == "signal":
        return (f"signal {data.get('number')}",)
    if event.kind in ("restart", "unready"):
        return (str(data.get("reason")),)
    if event.kind == "condition":
        faults = data.get("faults")
        named = [str(fault.get("fault")) for fault in faults if isinstance(fault, dict)] if isinstance(faults, list) else []
        return (f"{data.get('condition')}: {', '.join(named)}" if named else str(data.get("condition")),)
    if event.kind in ("app-exited", "end", "give-up"):
        return (f"exit code {data.get('code')}",)
    return _of_legs(event)


def _of_legs(event: Event) -> tuple[str, ...]:
    """How far it is to the first verified generation."""
    data, after = event.data, f"after {event.since_start:.1f} s"
    if event.kind == "leg":
        return (f"{data.get('name')} {after}",)
    if event.kind == "accepted":
        models = ", cold" if data.get("cold") is True else ", cached" if data.get("cold") is False else ""
        return (f"{'verified' if data.get('ok') is True else 'not accepted'} {after}{models}",)
    return (f"over the budget, longest: {data.get('leg')}",) if event.kind == "over-budget" else ()


def _is_duration(value: object) -> bool:
    # A journal can be anybody's, and a whole number too large for a float cannot be formatted as one.
    return isinstance(value, (int, float)) and 0 <= value < LONGEST_BOOT
