"""A verification of a pod, leg by leg."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from firstlight.fleet.verify import LEGS, Leg, Verified
from firstlight.report import words
from firstlight.report.style import Style, fit, printable, wrap

# The shape of `encode`. Raise it when a field changes its meaning or goes away.
VERSION = 1

_WIDTH = max(map(len, LEGS))


def leg(ended: Leg, style: Style) -> str:
    """One leg, as it ends."""
    mark, colour = ("good", "green") if ended.ok else ("bad", "red")
    lead = f"{style.mark(mark)} {ended.name:<{_WIDTH}} {words.duration(ended.seconds):>11}  "
    first, *more = wrap(printable(ended.words), " " * len(lead), lead)
    return fit("\n".join([style.paint(first[: len(lead)], colour) + first[len(lead) :], *more]), style)


def verdict(verified: Verified, style: Style) -> str:
    """What it amounts to."""
    if verified.ok:
        return fit(style.paint(f"{printable(verified.pod)} is proven: {printable(verified.words)}", "green", "bold"), style)
    lines = [style.paint(f"{printable(verified.pod)} is not proven: {printable(verified.words)}", "red", "bold")]
    move = f"`firstlight pod relocate {printable(verified.pod)}`"
    if verified.zero_gpu:
        gone = (
            f"Its GPU was given away while it was stopped: {move} moves it to a host that has one; or stop it, and start it another time."
        )
        lines += wrap(gone, "  ", f"{style.mark('next')} ")
    elif verified.host_fault:
        lines.append(f"{style.mark('next')} The host is at fault: {move} moves it to another one.")
    return fit("\n".join(lines), style)


def encode(verified: Verified) -> dict[str, Any]:
    """All of it, ready for JSON."""
    return {"version": VERSION, **asdict(verified)}
