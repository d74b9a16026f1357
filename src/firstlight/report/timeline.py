"""A boot's status and timeline as text."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.journal.event import Condition, Stage
from firstlight.journal.legs import Accepted
from firstlight.journal.status import CheckState, Companion, Status
from firstlight.journal.timeline import Span
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit, printable

_BAR = 30
_COLOURS = {Condition.HEALTHY: "green", Condition.DEGRADED: "yellow", Condition.FAILED: "red"}

_AFTER_START = (Stage.APP, Stage.READY, Stage.BACKOFF, Stage.STOP, Stage.END, Stage.HOLD)

# A stretch that is shorter says nothing; `--format json` has it.
_SHORTEST = 0.0005


def status(stands: Status, style: Style = PLAIN) -> str:
    """How a boot stands, one thing a line."""
    condition = "no diagnosis yet" if stands.condition is None else style.paint(stands.condition.value, _COLOURS[stands.condition])
    rows = [
        ("Boot", f"{printable(stands.boot)}, begun at {printable(stands.started_at)}"),
        ("Stage", f"{stands.stage.value}, {words.duration(stands.seconds)} after the start"),
        ("Condition", condition),
    ]
    if stands.usable is not None:
        of_all = "" if stands.expected is None else f" of {stands.expected}"
        rows.append(("GPUs", f"{stands.usable}{of_all} proven, {words.count(stands.probes, 'probe')}"))
    if stands.cause is not None:
        rows.append(("Cause", f"{printable(stands.cause)}: {printable(stands.sentence or '')}"))
    if stands.remedies:
        rows.append(("Cured by", ", ".join(map(printable, stands.remedies))))
    if stands.late is not None:
        rows.append(("Late", printable(stands.late)))
    if stands.legs:
        rows.append(("Legs", ", ".join(f"{leg.name} {words.duration(leg.seconds)}" for leg in stands.legs)))
    if stands.accepted is not None:
        rows.append(("Accepted", _accepted(stands.accepted)))
    rows += [("App", text) for text in _app(stands)]
    rows += [("Check", f"{printable(check.check)}: {_verdict(check)}") for check in stands.checks]
    rows += [("Beside", f"{printable(each.name)}: {_companion(each)}") for each in stands.companions]
    if stands.hold is not None:
        rows.append(("Holding", printable(stands.hold)))
    ended = "no end is recorded: it is running, or was killed" if stands.code is None else f"with exit code {stands.code}"
    rows.append(("Ended", ended))
    return fit("\n".join(f"{style.paint(f'{name:<10}', 'bold')} {text}" for name, text in rows), style)


def _accepted(accepted: Accepted) -> str:
    how = {None: "", True: ", cold", False: ", cached"}[accepted.cold]
    verdict = "yes" if accepted.ok else "no"
    return f"{verdict}, {words.duration(accepted.after)} after the start{how}{': ' if accepted.words else ''}{printable(accepted.words)}"


def _app(stands: Status) -> list[str]:
    if stands.app_pid is not None:
        lives = f", life {stands.lives}: {printable(stands.restart_reason or '')}" if stands.lives > 1 else ""
        return [f"pid {stands.app_pid}{lives}"]
    return [] if stands.app_code is None else [f"ended with exit code {stands.app_code}"]


def _verdict(check: CheckState) -> str:
    return {None: "has not answered yet", True: "ok", False: f"failed: {printable(check.words)}"}[check.ok]


def _companion(companion: Companion) -> str:
    return f"pid {companion.pid}" if companion.pid is not None else f"ended with exit code {companion.code}"


def timeline(spans: Sequence[Span], style: Style = PLAIN) -> str:
    """Where the time went: a line for each span, with a bar for its place in the cold start: the time until the app was ready."""
    shown = [span for span in spans if span.seconds >= _SHORTEST or span.words or span.unfinished]
    whole = _cold_start(spans)
    lines = [style.paint(f"{'from':>9} {'took':>9}  stage", "bold")]
    for span in shown:
        took = f"{span.seconds:.3f}{'+' if span.unfinished else ''}"
        bar = style.paint(_bar(span, whole, style), "green")
        text = "; ".join(printable(word) for word in dict.fromkeys(span.words) if word)
        lines.append(f"{span.start:>9.3f} {took:>9}  {span.stage.value:<9} {bar} {text}".rstrip())
    return fit("\n".join(lines), style)


def _bar(span: Span, whole: float, style: Style) -> str:
    if span.start + span.seconds > whole + _SHORTEST:
        return " " * _BAR
    first = min(round(_BAR * span.start / whole), _BAR - 1)
    length = max(1, min(round(_BAR * span.seconds / whole), _BAR - first))
    return (" " * first + style.mark("line") * length).ljust(_BAR)


def _cold_start(spans: Sequence[Span]) -> float:
    """How long it took until the app was ready; where it never was, until it was started, or all was given up."""
    ready = next((span.start for span in spans if span.stage is Stage.READY), None)
    if ready is None:
        ready = max((span.start + span.seconds for span in spans if span.stage not in _AFTER_START), default=0.0)
    return ready or 1.0
