"""Whether a call that failed is made again, and when. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

TRIES = 6

# Seconds that all tries of one call take together, waits between them included. A wait for the account's quota is not in it.
PATIENCE = 180.0

# A service that asks for more is not waited for: whoever asked is told.
LONGEST_PAUSE = 120.0

_FIRST_PAUSE = 1.0
_LONGEST_OWN_PAUSE = 20.0  # where the service does not say how long


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a try went wrong. An answer that breaks off, or is none of the service's, has no status: nobody knows what it said."""

    status: int | None = None
    reached: bool = True  # the service may have seen the request
    after: float | None = None  # seconds for which it asks

    @property
    def nothing_done(self) -> bool:
        """The service surely did nothing."""
        return not self.reached or self.status == 429

    @property
    def passing(self) -> bool:
        """It may be better next time."""
        return self.status is None or self.status in (408, 429) or (self.status >= 500 and self.status != 501)


def pause(failure: Failure, *, repeatable: bool, tries: int, spent: float, luck: float) -> float | None:
    """Seconds until the next try; None: give up.

    `repeatable`: it may be done twice without harm. `luck`, from 0 to 1, spreads those who failed together.
    """
    if not failure.passing or not (repeatable or failure.nothing_done) or tries >= TRIES:
        return None
    own = min(_LONGEST_OWN_PAUSE, _FIRST_PAUSE * 2.0 ** (tries - 1)) * (0.5 + 0.5 * luck)
    chosen = own if failure.after is None else failure.after + luck
    return None if chosen > LONGEST_PAUSE or spent + chosen > PATIENCE else chosen


def asked_pause(headers: Mapping[str, str], now: float) -> float | None:
    """What Retry-After asks for in seconds, or None: it is not there, or says nothing.

    A date is compared with the service's own, where it sends one: two clocks seldom agree. `now` is of the epoch.
    """
    told = headers.get("retry-after", "").strip()
    try:
        seconds = float(told)
    except ValueError:
        until = _epoch(told)
        if until is None:
            return None
        since = _epoch(headers.get("date", ""))
        seconds = until - (now if since is None else since)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _epoch(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
