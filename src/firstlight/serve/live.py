"""The journal as it comes in: kept, and told to whoever follows it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from firstlight.journal import keep, read
from firstlight.journal.event import Event
from firstlight.serve.redact import Redactor

# An app that restarts for weeks writes more events than we keep.
_KEPT = 3000


class Gap(Exception):  # noqa: N818 - not an error of ours: the core must begin anew
    """Events are missing, or what came is no event: nothing that we show would be true."""


class Live:
    """The events of this boot so far, without secrets.

    Attributes:
        events: the first ones, the last one of each sort and the latest ones, in order.
        version: how many changes there were; whoever keeps something made of `events` compares it.
    """

    def __init__(self, redactor: Redactor, greeting: int = 0) -> None:
        """`greeting` is how many of the first lines are what the core has kept: between those, numbers may be missing."""
        self.events: list[Event] = []
        self.version = 0
        self._redactor = redactor
        self._greeting = greeting
        self._changed = asyncio.Event()

    def feed(self, line: bytes) -> None:
        """Take one line of the journal.

        Raises:
            Gap: it is not the one after the last, nor one that was kept.
        """
        found = read.parse("", line).events
        if not found:
            raise Gap("cannot read a line of the journal")
        event = found[0]
        self._greeting -= 1
        if self.events and not self._follows(event, self.events[-1]):
            raise Gap(f"cannot follow the journal: event {event.number} came after {self.events[-1].number}")
        self.events.append(
            Event(
                boot=event.boot,
                number=event.number,
                kind=event.kind,
                stage=event.stage,
                at=event.at,
                since_start=event.since_start,
                data=self._redactor.data(event.data),
            )
        )
        keep.keep(self.events, _KEPT)
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _follows(self, event: Event, last: Event) -> bool:
        return event.number > last.number if self._greeting >= 0 else event.number == last.number + 1

    def after(self, number: int) -> list[Event]:
        """The events that are kept and came after this one."""
        if self.events and number < self.events[0].number:
            return list(self.events)
        place = len(self.events)
        while place and self.events[place - 1].number > number:
            place -= 1
        return self.events[place:]

    async def changed(self, seconds: float) -> bool:
        """Wait for the next event. False when none came in time."""
        waiting = self._changed
        try:
            await asyncio.wait_for(waiting.wait(), seconds)
        except (asyncio.TimeoutError, TimeoutError):  # two classes on Python 3.10
            return False
        return True


def line(event: Event) -> str:
    """An event as a line of JSON, as the journal has it."""
    head: dict[str, Any] = {"boot": event.boot, "n": event.number, "t": event.at, "s": event.since_start}
    return json.dumps({**head, "stage": event.stage.value, "kind": event.kind, **event.data}, separators=(",", ":"))
