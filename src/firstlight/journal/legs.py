"""The way to the first verified generation, leg by leg, out of a boot's events. Pure.

    cuda       a kernel has run on the GPUs (`diagnosis` with usable ones)
    process    the app was started, in the life that got furthest
    device     it has printed its device        `leg`, from here on
    port       it answers
    nodes      the node that is wanted is there, with its model
    worker     it has run a prompt that needs no model
    prompt     the first prompt of the acceptance was queued
    executed   and was run
    verified   and what came out was found good (`accepted`)
    ready      the app can be given work (`ready`)

Each leg lasts from the end of the one before it, in the order in which they were reached. An app without a recipe has three of them. From `device`
to `verified` each one cannot be over before those that stand above it: checks that are put at the same moment are answered in any order, and
the first answer counts for all that it implies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firstlight.journal.event import LONGEST_BOOT, Event

# What others may report, in their order.
REPORTED = ("device", "port", "nodes", "worker", "prompt", "executed")
_ORDER = ("cuda", "process", *REPORTED, "verified", "ready")


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A leg that is over. `at` is when, in seconds since the boot began; `seconds` how long it took."""

    name: str
    at: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What the last acceptance has found.

    Attributes:
        cold: the app had run nothing before, so that its models were loaded for it; None where that is not known.
        gates: each gate and whether it was passed, in order; None for one that was not asked.
        after: seconds from the start of the boot.
    """

    ok: bool
    cold: bool | None
    seconds: float
    gates: tuple[tuple[str, bool | None], ...]
    words: str
    after: float


def legs(events: Sequence[Event]) -> tuple[Leg, ...]:
    """The legs that are over, in the order in which they were."""
    reached: dict[str, float] = {}
    for event in events:
        if event.kind == "app-started" and "ready" not in reached:
            reached = {name: at for name, at in reached.items() if name == "cuda"} | {"process": event.since_start}
        name = _name(event)
        if name is not None and name not in reached:
            reached[name] = event.since_start
    implied = float("inf")
    for name in ("verified", *reversed(REPORTED)):
        if name in reached:
            reached[name] = implied = min(reached[name], implied)
    found: list[Leg] = []
    before = 0.0
    for name, at in sorted(reached.items(), key=lambda item: (item[1], _ORDER.index(item[0]))):
        found.append(Leg(name=name, at=at, seconds=round(max(0.0, at - before), 4)))
        before = at
    return tuple(found)


def _name(event: Event) -> str | None:
    """The leg that an event ends."""
    if event.kind == "diagnosis":
        usable = event.data.get("usable")
        return "cuda" if isinstance(usable, int) and usable > 0 else None
    if event.kind == "leg":
        name = event.data.get("name")
        return name if isinstance(name, str) and name in REPORTED else None
    if event.kind == "accepted":
        return "verified" if event.data.get("ok") is True else None
    return "ready" if event.kind == "ready" else None


def accepted(events: Sequence[Event]) -> Accepted | None:
    """The last acceptance; None where there was none."""
    event = next((event for event in reversed(events) if event.kind == "accepted"), None)
    return None if event is None else _accepted(event)


def verified(events: Sequence[Event]) -> Accepted | None:
    """The first generation that was found good; None where there is none yet."""
    event = next((event for event in events if event.kind == "accepted" and event.data.get("ok") is True), None)
    return None if event is None else _accepted(event)


def _accepted(event: Event) -> Accepted:
    cold, gates, seconds = event.data.get("cold"), event.data.get("gates"), event.data.get("seconds")
    named = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
    return Accepted(
        ok=event.data.get("ok") is True,
        cold=cold if isinstance(cold, bool) else None,
        seconds=float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < LONGEST_BOOT else 0.0,
        gates=tuple((str(gate.get("gate")), gate["ok"] if isinstance(gate.get("ok"), bool) else None) for gate in named),
        words=str(event.data.get("words", "")),
        after=event.since_start,
    )


def slowest(events: Sequence[Event], now: float) -> tuple[str, float]:
    """The leg that has taken longest until `now`, in seconds since the boot began, and how long: one that is under way counts too."""
    over = legs(events)
    times = [(leg.name, leg.seconds) for leg in over]
    if not any(leg.name == "ready" for leg in over):
        times.append((f"after {over[-1].name}" if over else "start", round(max(0.0, now - (over[-1].at if over else 0.0)), 4)))
    return max(times, key=lambda time: time[1])
