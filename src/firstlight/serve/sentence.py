"""How a boot stands, in the words that a person would use."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.journal.event import Condition, Event, Stage
from firstlight.journal.status import Status
from firstlight.serve import reading

_SIMPLE = {
    Stage.START: "Starting",
    Stage.PROBE: "Bringing CUDA up",
    Stage.PROVE: "CUDA is proven; the app is about to start",
}


def say(events: Sequence[Event], stands: Status) -> tuple[str, str]:
    """Stage and condition as one honest sentence, and the reason in a second."""
    cause = f"{stands.cause}: {stands.sentence}" if stands.cause else ""
    stage = stands.stage
    if stage is Stage.END:
        return f"Ended with exit code {stands.code}", str(reading.field(events, "give-up", "reason") or "")
    if stands.hold is not None or stage is Stage.HOLD:
        return f"On hold: the app {'is not running' if stands.lives else 'was not started'}", "; ".join(
            filter(None, (stands.hold or cause, stands.move))
        )
    if stage is Stage.STOP:
        return "Stopping", "" if stands.app_pid else f"The app ended with exit code {stands.app_code}."
    if stands.ready:
        return _with_condition("Ready", stands.condition), cause or stands.late or ""
    if stage is Stage.BACKOFF:
        delay = reading.field(events, "restart", "delay")
        wait = f" in {seconds_in_words(delay)}" if isinstance(delay, (int, float)) else ""
        return f"Not ready: the app starts again{wait}", stands.restart_reason or ""
    if stage is Stage.APP:
        return _app_not_ready(events, stands, cause)
    if stage is Stage.WAIT:
        return "Waiting for a GPU", cause
    if stage is Stage.TREAT:
        return f"Curing: {reading.field(events, 'remedy', 'remedy') or 'the fault'}", cause
    attempt = reading.field(events, "stage", "attempt")
    again = f"Attempt {attempt}" if stage is Stage.PROBE and isinstance(attempt, int) and attempt > 1 else ""
    diagnosed = "Finding out what is wrong" if cause else "CUDA has answered"
    return _SIMPLE.get(stage, diagnosed), cause or again


def _app_not_ready(events: Sequence[Event], stands: Status, cause: str) -> tuple[str, str]:
    reason = next((event.data.get("reason") for event in reversed(events) if event.kind in ("unready", "app-started")), None)
    failing = "; ".join(f"{check.check}: {check.words or 'not yet'}" for check in stands.checks if not check.ok and check.level == "ready")
    words = "Not ready any more" if reason else "The app runs and is not ready yet"
    return _with_condition(words, stands.condition), str(reason or failing or cause)


def _with_condition(words: str, condition: Condition | None) -> str:
    if condition is Condition.DEGRADED:
        return f"{words}, degraded"
    return f"{words}, but the GPUs have failed" if condition is Condition.FAILED else words


def seconds_in_words(seconds: float) -> str:
    """Such as: 0.4 ms, 31 ms, 0.41 s, 31 s, 2 min 5 s, 45 min, 3 h 20 min, 2 d 4 h."""
    if 0.00005 <= seconds < 0.001:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole < 172800 else f"{whole // 86400} d {whole % 86400 // 3600} h"
