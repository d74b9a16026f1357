"""A pod's log, line by line, over as many connections as that takes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio

from firstlight.providers.runpod.events import Event
from firstlight.providers.runpod.exchange import Exchange
from firstlight.providers.runpod.refusal import CloudError
from firstlight.providers.runpod.shapes import LogLine

# Seconds between two connections: doubled while they bring nothing.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0

# Without a line for so long, a connection that is followed may be dead: it is begun anew, from where it was.
_SILENCE = 300.0
# The service sends what there was and goes on with what comes, without saying where the one ends. Who does not follow takes this for the end.
_QUIET = 3.0

# So many lines of one moment are remembered. Those that tell no time are all of one.
_REMEMBERED = 10_000

# So many connections may fail one after the other.
_FAILURES = 6


async def lines(
    exchange: Exchange, path: str, words: str, *, query: dict[str, str], after: str | None, follow: bool
) -> AsyncGenerator[LogLine, None]:
    """The lines after the one whose id is `after`; where to begin without one is in `query`.

    With `follow` a connection that ends or breaks is followed by another, which goes on behind the last line. The service says that an id is
    a time: it may send lines of that time again, and those are passed over. Without `follow` it ends where nothing more comes.
    """
    last, seen = after, _Seen()
    failures, pause = 0, _FIRST_PAUSE
    while True:
        begin = query if last is None else {name: value for name, value in query.items() if name not in ("tail", "since")}
        seen.connected()
        try:
            async with aclosing(exchange.events(path, words, begin, last=last, quiet=_SILENCE if follow else _QUIET)) as events:
                async for event in events:
                    line = line_of(event)
                    last, failures, pause = event.id or last, 0, _FIRST_PAUSE
                    if seen.first(line):
                        yield line
        except CloudError as error:
            failures += 1
            if not follow or not _passing(error) or failures >= _FAILURES:
                raise
        if not follow:
            return
        await anyio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


def line_of(event: Event) -> LogLine:
    """A line of the log; one that is told in no known form is taken as it is."""
    try:
        told = json.loads(event.data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        told = {"line": event.data}
    at = str(told.get("ts") or "")
    return LogLine(id=event.id or at, at=at, source=str(told.get("source") or ""), line=str(told.get("line", "")))


class _Seen:
    """Which lines of the last moment there were, so that those which come again are known."""

    def __init__(self) -> None:
        self._at = ""
        self._lines: Counter[tuple[str, str, str]] = Counter()
        self._again: Counter[tuple[str, str, str]] = Counter()

    def connected(self) -> None:
        """What comes now may be what there was."""
        self._again = Counter(self._lines)

    def first(self, line: LogLine) -> bool:
        """Whether it is a new one."""
        key = (line.id, line.source, line.line)
        if self._again[key] > 0:
            self._again[key] -= 1
            return False
        if line.at != self._at or len(self._lines) >= _REMEMBERED:
            self._at, self._lines = line.at, Counter()
        self._lines[key] += 1
        return True


def _passing(error: CloudError) -> bool:
    return error.status is None or error.status in (408, 429) or error.status >= 500
