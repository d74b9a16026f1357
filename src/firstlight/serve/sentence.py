"""How a boot stands, in the words that a person would use."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.journal.event import Condition, Event, Stage
from firstlight.serve import reading


def say(
    events: Sequence[Event], condition: Condition | None, *, cause: str, failing: str, ready: bool, app_running: bool, held: str | None
) -> tuple[str, str]:
    """Stage and condition as one honest sentence, and the reason in a second."""
    stage = events[-1].stage
    if stage is Stage.END:
        code = reading.field(events, "end", "code")
        return f"Ended with exit code {code}", str(reading.field(events, "give-up", "reason") or "")
    if held is not None:
        return "On hold: the app was not started", held
    if stage is Stage.STOP:
        return "Stopping", "" if app_running else f"The app ended with exit code {reading.field(events, 'app-exited', 'code')}."
    if ready:
        return _with_condition("Ready", condition), cause
    if stage is Stage.BACKOFF:
        delay = reading.field(events, "restart", "delay")
        wait = f" in {seconds_in_words(delay)}" if isinstance(delay, (int, float)) else ""
        return f"Not ready: the app starts again{wait}", str(reading.field(events, "restart", "reason") or "")
    if app_running:
        reason = reading.field(events, "unready", "reason") if events and _was_ready(events) else None
        first = _with_condition("The app runs and is not ready yet" if not _was_ready(events) else "Not ready", condition)
        return first, str(reason or failing or cause)
    if stage is Stage.WAIT:
        fault = str(reading.field(events, "wait", "fault") or "")
        return f"Waiting for {_thing(fault)}", cause
    if stage is Stage.TREAT:
        return f"Curing: {reading.field(events, 'remedy', 'remedy') or 'the fault'}", cause
    simple = {
        Stage.START: "Starting",
        Stage.PROBE: "Bringing CUDA up",
        Stage.DIAGNOSE: "Finding out what is wrong" if cause else "CUDA has answered",
        Stage.PROVE: "CUDA is proven; the app is about to start",
    }
    attempt = reading.field(events, "stage", "attempt")
    again = f"Attempt {attempt}" if stage is Stage.PROBE and isinstance(attempt, int) and attempt > 1 else ""
    return simple.get(stage, stage.value.capitalize()), cause or again


def _thing(fault: str) -> str:
    return f"the GPU: {fault}" if fault else "a GPU"


def _with_condition(words: str, condition: Condition | None) -> str:
    if condition is Condition.DEGRADED:
        return f"{words}, degraded"
    return f"{words}, but the GPUs have failed" if condition is Condition.FAILED else words


def _was_ready(events: Sequence[Event]) -> bool:
    """Whether the app was ready in this life of it."""
    for event in reversed(events):
        if event.kind == "ready":
            return True
        if event.kind == "app-started":
            return False
    return False


def seconds_in_words(seconds: float) -> str:
    """Such as: 0.4 ms, 31 ms, 0.41 s, 31 s, 2 min 5 s, 3 h 20 min, 2 d 4 h."""
    if seconds < 0.001:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole < 172800 else f"{whole // 86400} d {whole % 86400 // 3600} h"
