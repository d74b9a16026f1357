"""What a soak's observations mean, and how they read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from observed import Growth

# How many KiB a process may hold more at the end of the second half than at its beginning: Python's heap is never still. Up to 4 MiB
# wait in the copier while the volume hangs.
MEMORY_KIB = {"copier": 8192}
MEMORY_KIB_ELSE = 1024
DESCRIPTORS = 1.5

# How long after the app has begun to say that it is not well /readyz may still say yes, in seconds: two checks and a loaded machine.
LATE = 5.0


def leaks(growths: Sequence[Growth]) -> list[str]:
    """What has grown too much."""
    found = []
    for growth in growths:
        if growth.memory_growth_kib > MEMORY_KIB.get(growth.role, MEMORY_KIB_ELSE):
            found.append(f"the {growth.role} has grown by {growth.memory_growth_kib:g} KiB in {growth.seconds:g} s")
        if growth.descriptors_growth > DESCRIPTORS:
            found.append(f"the {growth.role} holds {growth.descriptors_growth:g} descriptors more after {growth.seconds:g} s")
    return found


def untrue_readiness(events: Sequence[dict[str, Any]], counts: Path) -> list[str]:
    """Where the journal says `ready` of an app that had not said so, or still says it of one that has ended."""
    found = []
    pid, ready = 0, False
    for event in events:
        if event["kind"] == "app-started":
            pid = event["pid"]
            if ready:
                found.append(f"event {event['n']}: a new life begins while the last one is still called ready")
        elif event["kind"] == "ready":
            ready = True
            well = counts / f"{pid}.well"
            if not well.exists():
                found.append(f"event {event['n']}: process {pid} is called ready and never said so")
        elif event["kind"] == "unready":
            ready = False
        elif event["kind"] == "app-exited" and ready:
            found.append(f"event {event['n']}: the app has ended and is called ready")
    return found


def untrue_answers(ready: Sequence[float], sick: Sequence[tuple[float, float]]) -> list[str]:
    """Where /readyz said yes while the app said no."""
    found = []
    for begun, ended in sick:
        wrong = [moment - begun for moment in ready if begun + LATE < moment < ended]
        if wrong:
            found.append(f"/readyz said yes {wrong[0]:.1f} s after the app had begun to say no")
    return found


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds within which this share of the answers came."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {f"p{share}": round(1000 * ordered[min(int(len(ordered) * share / 100), len(ordered) - 1)], 1) for share in (50, 99, 100)}


def text(result: dict[str, Any]) -> str:
    """A short summary."""
    lines = [
        f"{result['seconds']:g} s, seed {result['seed']}",
        f"{result['lives']} lives of the app, {result['orphans']} orphans reaped, at most {result['processes']} processes at a time",
        f"{sum(result['lines'])} lines, {sum(result['bytes']) / 1e6:.1f} MB, {result['events']} events",
        "done: " + ", ".join(f"{name} {count}" for name, count in result["harm"].items()),
    ]
    lines += [
        f"{growth['role']}: {growth['memory_kib']:g} KiB {growth['memory_growth_kib']:+g}, "
        f"{growth['descriptors']:g} descriptors {growth['descriptors_growth']:+g} in {growth['seconds']:g} s"
        for growth in result["growth"]
    ]
    if result["answer_seconds"]:
        answers = sum(count for name, count in result["answers"].items() if name != "no answer")
        lines.append(f"{answers} answers over HTTP, in milliseconds {result['answer_seconds']}")
    if "stop" in result:
        lines.append(f"stopped in {result['stop']['seconds']:g} s with exit code {result['stop']['code']}")
    lines += [f"DID NOT HOLD: {words}" for words in result["complaints"]] or ["all held"]
    return "\n".join(lines) + "\n"
