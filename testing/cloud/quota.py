"""Requests counted by minute, hour and day, and told in headers."""

from __future__ import annotations

from collections.abc import Mapping

from cloud.refusals import RefusedError

_WINDOWS = {"minute": 60, "hour": 3600, "day": 86400}


class LimitedError(RefusedError):
    """Too many requests; `after` is when to come again, in seconds."""

    def __init__(self, window: str, after: int) -> None:
        super().__init__(429, f"rate limit exceeded for the {window} window")
        self.after = after


class Quota:
    """What is left of each window. Windows begin at multiples of their length."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[int, int]] = {}  # window → which one, how many

    def _of(self, window: str, now: float) -> int:
        number, used = self._used.get(window, (-1, 0))
        return used if number == int(now // _WINDOWS[window]) else 0

    def take(self, quotas: Mapping[str, int], now: float) -> None:
        """Count a request.

        Raises:
            LimitedError: it is one too many.
        """
        for window, most in quotas.items():
            if self._of(window, now) >= most:
                raise LimitedError(window, self._reset(window, now))
        for window in quotas:
            self._used[window] = (int(now // _WINDOWS[window]), self._of(window, now) + 1)

    def headers(self, quotas: Mapping[str, int], now: float) -> dict[str, str]:
        """As every answer carries them; none for those who have no limit."""
        if not quotas:
            return {}
        left = ", ".join(f'"{name}";r={max(0, most - self._of(name, now))};t={self._reset(name, now)}' for name, most in quotas.items())
        policy = ", ".join(f'"{name}";q={most};w={_WINDOWS[name]}' for name, most in quotas.items())
        return {"RateLimit": left, "RateLimit-Policy": policy}

    def _reset(self, window: str, now: float) -> int:
        length = _WINDOWS[window]
        return int(length - now % length) + 1
