"""A boot's status and timeline as text."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.journal.event import Condition, Stage
from firstlight.journal.read import Span, Status
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit, printable

_BAR = 30
_COLOURS = {Condition.HEALTHY: "green", Condition.DEGRADED: "yellow", Condition.FAILED: "red"}

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
    if stands.app_pid is not None:
        rows.append(("App", f"pid {stands.app_pid}" if stands.app_code is None else f"ended with exit code {stands.app_code}"))
    ended = "no end is recorded: it is running, or was killed" if stands.code is None else f"with exit code {stands.code}"
    rows.append(("Ended", ended))
    return fit("\n".join(f"{style.paint(f'{name:<10}', 'bold')} {text}" for name, text in rows), style)


def timeline(spans: Sequence[Span], style: Style = PLAIN) -> str:
    """Where the time went: a line for each span, with a bar for its place in the time until the app was started."""
    shown = [span for span in spans if span.seconds >= _SHORTEST or span.words]
    whole = max((span.start + span.seconds for span in spans if _counts(span)), default=0.0) or 1.0
    lines = [style.paint(f"{'from':>9} {'took':>9}  stage", "bold")]
    for span in shown:
        took = f"{span.seconds:.3f}{'+' if span.unfinished else ''}"
        bar = style.paint(_bar(span, whole, style), "green")
        text = "; ".join(printable(word) for word in dict.fromkeys(span.words) if word)
        lines.append(f"{span.start:>9.3f} {took:>9}  {span.stage.value:<9} {bar} {text}".rstrip())
    return fit("\n".join(lines), style)


def _bar(span: Span, whole: float, style: Style) -> str:
    if not _counts(span):
        return " " * _BAR
    first = min(round(_BAR * span.start / whole), _BAR - 1)
    length = max(1, min(round(_BAR * span.seconds / whole), _BAR - first))
    return (" " * first + style.mark("line") * length).ljust(_BAR)


def _counts(span: Span) -> bool:
    """It is a part of the cold start; the app's own life would dwarf that."""
    return span.stage not in (Stage.APP, Stage.STOP, Stage.END, Stage.HOLD)
