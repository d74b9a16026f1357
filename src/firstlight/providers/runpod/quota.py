"""How many requests the account may still make, as RunPod's RateLimit headers tell it. Pure.

RateLimit: "minute";r=0;t=12, "hour";r=2800;t=1812          what is left of each window, and the seconds until it begins anew
RateLimit-Policy: "minute";q=60;w=60, "hour";q=3000;w=3600  how many there are in each, and how long it is in seconds
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

_MEMBER = re.compile(r'"?([^",;]+)"?((?:\s*;\s*[a-z]+\s*=\s*"?[^",;]*"?)+)')
_PARAMETER = re.compile(r";\s*([a-z]+)\s*=\s*\"?(\d+)")

# Of each window so many are kept for what changes something, and a tenth at most: ending a pod must not wait behind those who look on.
_KEPT = 10

# Two answers tell of the same window where it ends at the same time, but for what rounding and the way of the answer make of it.
_SAME = 2.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """One window as it is known at a time."""

    left: int
    ends: float  # by the clock of whoever asks
    quota: int = 0  # 0: not told
    length: float = 0.0


Windows = Mapping[str, Window]


def told(windows: Windows, headers: Mapping[str, str], now: float) -> Windows:
    """What is known after an answer. Answers may overtake each other: within one window the lower number is the newer."""
    policy = _members(headers.get("ratelimit-policy", ""))
    known = dict(windows)
    for name, values in _members(headers.get("ratelimit", "")).items():
        if "r" not in values or "t" not in values:
            continue
        rules = policy.get(name, {})
        window = Window(left=values["r"], ends=now + values["t"], quota=rules.get("q", 0), length=rules.get("w", 0))
        before = known.get(name)
        if before is not None and abs(before.ends - window.ends) <= _SAME and now < before.ends:
            window = replace(window, left=min(before.left, window.left))
        known[name] = window
    return known


def spend(windows: Windows) -> Windows:
    """After a request whose answer told nothing of it."""
    return {name: replace(window, left=window.left - 1) for name, window in windows.items()}


def renew(windows: Windows, now: float) -> Windows:
    """Those that have ended begin anew where their length is known, and are forgotten where it is not."""
    known = {}
    for name, window in windows.items():
        if now < window.ends:
            known[name] = window
        elif window.quota and window.length:
            known[name] = replace(window, left=window.quota, ends=now + window.length)
    return known


def wait(windows: Windows, flying: int, now: float, *, changes: bool) -> tuple[float, str]:
    """Seconds until there may be another request, and the window that wants it so; 0 where there may be one now.

    `flying` are those without an answer yet: each may still take one. `changes`: the request is not one that only looks.
    """
    longest, by = 0.0, ""
    for name, window in windows.items():
        kept = 0 if changes else min(_KEPT, window.quota // 10)
        if window.left - flying <= kept and window.ends - now > longest:
            longest, by = window.ends - now, name
    return longest, by


def _members(header: str) -> dict[str, dict[str, int]]:
    """The members of a structured list with their whole-number parameters. What is none is passed over: it is only advice."""
    return {
        match[1].strip(): {name: int(value[:9]) for name, value in _PARAMETER.findall(match[2])}
        for match in _MEMBER.finditer(header[:2000])
    }
