"""The plots of a test's report, as SVG that needs no script and has no text in it: words beside it stay readable on a phone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.fleet.cycle import CREATE, START, Cycle
from firstlight.fleet.statistics import Interval
from firstlight.fleet.verify import CUDA, ENDPOINT, HEALTH, PROXY, READY, SSH, SSH_CUDA, STATUS, Leg
from firstlight.markup.tags import Html, tag
from firstlight.report import words

# Two tracks of legs are gone at the same time: what the pod tells, and what an SSH session finds.
MAIN = (CREATE, START, STATUS, HEALTH, CUDA, READY, PROXY)
BESIDE = (ENDPOINT, SSH, SSH_CUDA)

MEANING = {
    CREATE: "the order to create it",
    START: "the order to start it",
    STATUS: "until RunPod says that it runs",
    HEALTH: "until its agent answers",
    CUDA: "until CUDA is proven",
    READY: "until the app is ready",
    PROXY: "until the app answers from outside",
    ENDPOINT: "until its SSH endpoint is told",
    SSH: "until sshd answers with the right key",
    SSH_CUDA: "CUDA proven in an SSH session",
}

# The distances between two marks of a time axis, in seconds, and how many marks there are at most.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_MARKS = 6

# What failed after a long wait would leave no room for the rest: it is cut behind the slowest good one.
_ROOM = 1.25

# What is shorter is drawn so that it can be seen, in percent.
_THINNEST = 0.5


def scale(cycles: Sequence[Cycle]) -> float:
    """The seconds that a plot of these is wide."""
    ready = [cycle.to_ready for cycle in cycles if cycle.to_ready is not None]
    ends = [leg.began + leg.seconds for cycle in cycles for leg in cycle.legs]
    good = [leg.began + leg.seconds for cycle in cycles if cycle.to_ready is not None for leg in cycle.legs]
    if not ready:
        return max(ends, default=1.0) or 1.0
    return max(min(max(ends), max(good) * _ROOM), 0.001)


def marks(whole: float) -> list[float]:
    """Where a time axis of so many seconds has its marks."""
    step = next((step for step in _STEPS if whole / step <= _MARKS), _STEPS[-1])
    return [number * step for number in range(int(whole / step) + 1)]


def axis(whole: float) -> Html:
    """The marks below a plot."""
    return tag(
        "div", (tag("span", _seconds(at), style=f"left:{100 * at / whole:.2f}%") for at in marks(whole)), class_="axis", aria_hidden="true"
    )


def _seconds(at: float) -> str:
    if at >= 120 and at % 60 == 0:
        return f"{at / 60:g} min"
    return f"{at:g} s"


def bar(cycle: Cycle, whole: float) -> Html:
    """One cold start: what the pod tells as a thick bar, and what SSH finds as a thin one below."""
    drawn = [leg for leg in cycle.legs if leg.name in MEANING]
    told = (
        ", ".join(f"{leg.name} {'' if leg.ok else 'failed after '}{words.duration(leg.seconds)}" for leg in drawn) or "nothing was started"
    )
    return tag(
        "svg",
        tag("rect", width="100", height="10", class_="track"),
        (_leg(leg, whole, 0, 10) for leg in drawn if leg.name in MAIN),
        tag("rect", y="12", width="100", height="3", class_="track") if any(leg.name in BESIDE for leg in drawn) else None,
        (_leg(leg, whole, 12, 3) for leg in drawn if leg.name in BESIDE),
        class_="bar",
        viewBox="0 0 100 15",
        preserveAspectRatio="none",
        role="img",
        aria_label=told,
    )


def _leg(leg: Leg, whole: float, top: int, height: int) -> list[Html]:
    start = max(0.0, 100 * leg.began / whole)
    width = max(100 * leg.seconds / whole, _THINNEST)
    cut = start + width > 100 + _THINNEST
    start = min(start, 100 - _THINNEST)
    width = min(width, 100 - start)
    kind = f"leg-{leg.name}" if leg.ok else "leg-failed"
    title = f"{leg.name}: {words.duration(leg.seconds)}{f' - {leg.words}' if leg.words else ''}"
    place = {"x": f"{start:.2f}", "y": str(top), "width": f"{width:.2f}", "height": str(height)}
    pieces = [tag("rect", tag("title", title), **place, class_=kind)]
    if cut:  # it goes on, where there is no room
        pieces += [tag("rect", x=f"{x}", y=str(top), width="0.7", height=str(height), class_="gap") for x in (96.4, 98.0)]
    return pieces


def gauge(interval: Interval, rate: float) -> Html:
    """Where the rate was seen, and where the true one lies."""
    label = f"{100 * rate:.0f} % seen; the true rate lies between {100 * interval.low:.0f} % and {100 * interval.high:.0f} %"
    return tag(
        "svg",
        tag("rect", width="100", height="8", y="1", class_="track"),
        tag("rect", x=f"{100 * interval.low:.2f}", width=f"{100 * (interval.high - interval.low):.2f}", y="1", height="8", class_="band"),
        tag("rect", x=f"{min(max(100 * rate - 0.35, 0), 99.3):.2f}", width="0.7", height="10", class_="seen"),
        class_="gauge",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def staircase(values: Sequence[float], whole: float) -> Html:
    """Which part of all was ready after how long: each step is a cold start."""
    ordered = sorted(values)
    points = ["M0 100"]
    for number, value in enumerate(ordered, 1):
        at = 100 * value / whole
        points += [f"H{at:.2f}", f"V{100 - 100 * number / len(ordered):.2f}"]
    points.append("H100")
    line = " ".join(points)
    label = (
        f"{len(ordered)} cold starts, the fastest ready after {words.duration(ordered[0])}, the slowest after {words.duration(ordered[-1])}"
    )
    return tag(
        "svg",
        (tag("path", d=f"M0 {at} H100", class_="rule") for at in (0, 10, 50, 100)),
        tag("path", d=f"{line} V100 Z", class_="area"),
        tag("path", d=line, class_="stairs"),
        (tag("path", d=f"M{100 * value / whole:.2f} 100 V95", class_="rug") for value in ordered),
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
