"""The journal as it comes in: kept, and told to whoever follows it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from firstlight.journal import read
from firstlight.journal.event import Event
from firstlight.serve.redact import Redactor

# An app that restarts for weeks writes more events than we keep. How the boot began matters for good, and so does the news.
FIRST_KEPT = 500
LAST_KEPT = 2500


class Gap(Exception):  # noqa: N818 - not an error of ours: the core must begin anew
    """Events are missing, or what came is no event: nothing that we show would be true."""


class Live:
    """The events of this boot so far, without secrets.

    Attributes:
        events: the first ones and the latest ones, in order.
        restarts_forgotten: by cause, the restarts whose events are kept no more: a counter must not stand still.
        version: how many changes there were; whoever keeps something made of `events` compares it.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.events: list[Event] = []
        self.restarts_forgotten: dict[str, int] = {}
        self.version = 0
        self._redactor = redactor
        self._changed = asyncio.Event()

    def feed(self, line: bytes) -> None:
        """Take one line of the journal.

        Raises:
            Gap: it is not the one after the last.
        """
        found = read.parse("", line).events
        if not found:
            raise Gap("cannot read a line of the journal")
        event = found[0]
        if self.events and event.number != self.events[-1].number + 1:
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
        if len(self.events) > FIRST_KEPT + LAST_KEPT:
            forgotten = self.events.pop(FIRST_KEPT)
            if forgotten.kind == "restart":
                cause = cause_of(forgotten)
                self.restarts_forgotten[cause] = self.restarts_forgotten.get(cause, 0) + 1
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

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


def cause_of(restart: Event) -> str:
    """What a restart came from."""
    return str(restart.data.get("cause", "app"))


def line(event: Event) -> str:
    """An event as a line of JSON, as the journal has it."""
    head: dict[str, Any] = {"boot": event.boot, "n": event.number, "t": event.at, "s": event.since_start}
    return json.dumps({**head, "stage": event.stage.value, "kind": event.kind, **event.data}, separators=(",", ":"))
