"""When the next request may be made: one line for all tasks of a client, so that no used-up quota is asked again and again."""

from __future__ import annotations

import random
from collections.abc import Mapping

import anyio

from firstlight.providers.runpod import quota, retry

# Requests in the air. More of them make nothing faster, and before the first answer nobody knows how many there may be.
AT_ONCE = 32


class UsedUp(Exception):  # noqa: N818 - an answer: it does not leave this package
    """The quota is used up for longer than anybody waits.

    Attributes:
        window: such as hour; empty where the service has asked for a pause without saying why.
        seconds: until it begins anew.
    """

    def __init__(self, window: str, seconds: float) -> None:
        super().__init__(window, seconds)
        self.window = window
        self.seconds = seconds


class Pace:
    """The line, and what is known of the quota. Each kind of request has its first in line; the others sleep behind it."""

    def __init__(self) -> None:
        self._windows: quota.Windows = {}
        self._shut_until = 0.0
        self._flying = 0
        self._changed = anyio.Event()
        self._lines = {True: anyio.Lock(), False: anyio.Lock()}

    async def turn(self, *, changes: bool) -> None:
        """Wait until a request may be made, and count it; whoever returns from here calls `landed` once.

        `changes`: it does more than look.

        Raises:
            UsedUp: that would be too long.
        """
        async with self._lines[changes]:
            while True:
                seconds = self._wait(changes=changes)
                if seconds <= 0:
                    self._flying += 1
                    return
                changed = self._changed
                with anyio.move_on_after(seconds):
                    await changed.wait()

    def _wait(self, *, changes: bool) -> float:
        now = anyio.current_time()
        self._windows = quota.renew(self._windows, now)
        seconds, window = quota.wait(self._windows, self._flying, now, changes=changes)
        if self._shut_until - now > seconds:
            seconds, window = self._shut_until - now, ""
        if seconds > retry.LONGEST_PAUSE and not self._flying:
            raise UsedUp(window, seconds)
        if seconds > 0:
            # The service counts in whole seconds, and others with the same key wake at the same time.
            return seconds + random.uniform(0.1, 1.0)  # noqa: S311 - it spreads requests
        return retry.LONGEST_PAUSE if self._flying >= AT_ONCE else 0.0

    def landed(self, headers: Mapping[str, str] | None) -> None:
        """A request is over; `headers` are its answer's, None where there was none."""
        self._flying -= 1
        if headers is not None and "ratelimit" in headers:
            self._windows = quota.told(self._windows, headers, anyio.current_time())
        else:
            self._windows = quota.spend(self._windows)
        self._wake()

    def shut(self, seconds: float) -> None:
        """The service wants no request for so long, from nobody."""
        self._shut_until = max(self._shut_until, anyio.current_time() + seconds)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
