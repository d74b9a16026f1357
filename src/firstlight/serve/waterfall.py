"""The boot laid out as a waterfall: where each bar begins and how long it is drawn. Pure.

An app that runs for a week would leave no room for the seconds in which it came up. So what stays for long (a ready app, a hold)
is drawn up to a part of the rest and cut there, with its true length in words beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firstlight.journal.event import Stage
from firstlight.journal.timeline import Span

_STAYING = frozenset((Stage.READY, Stage.HOLD))
_CUT_AT = 0.25  # of all that does not stay

# What is shorter is drawn so that it can be seen.
_THINNEST = 0.4  # percent


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row. `start` and `width` are percents of the whole; `seconds` is the true length."""

    stage: Stage
    start: float
    width: float
    seconds: float
    words: tuple[str, ...]
    cut: bool = False
    unfinished: bool = False


def lay_out(spans: Sequence[Span], now: float) -> tuple[Bar, ...]:
    """A bar for each stretch. `now` is in seconds since the boot began: an unfinished one has lasted until then."""
    lengths = [max(span.seconds, now - span.start) if span.unfinished else span.seconds for span in spans]
    passing = sum(length for span, length in zip(spans, lengths, strict=True) if span.stage not in _STAYING)
    limit = max(passing * _CUT_AT, 0.05)
    drawn = [min(length, limit) if span.stage in _STAYING else length for span, length in zip(spans, lengths, strict=True)]
    whole = sum(drawn) or 1.0
    bars: list[Bar] = []
    start = 0.0
    for span, length, width in zip(spans, lengths, drawn, strict=True):
        percent = max(100 * width / whole, _THINNEST)
        bars.append(
            Bar(
                stage=span.stage,
                start=round(min(100 * start / whole, 100 - percent), 2),
                width=round(percent, 2),
                seconds=length,
                words=span.words,
                cut=width < length,
                unfinished=span.unfinished,
            )
        )
        start += width
    return tuple(bars)
