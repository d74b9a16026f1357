"""Server-sent events out of bytes. Pure.

After the HTML standard, section 9.2.6: lines end with CR, LF or both; an event ends with an empty line. Only these bytes end a line:
text may hold other characters that Python calls line ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# A line, or an event, that grows beyond this is no log's; what has come of it is let go.
LONGEST = 4 << 20


@dataclass(frozen=True)
class Event:
    """One event. `id` is the last that was told, this event's own or an earlier one's."""

    id: str
    data: str


class Reader:
    """Takes pieces as they come, cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._after_return = False
        self._id = ""
        self._data: list[str] = []
        self._size = 0  # of the event that is under way

    def read(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes."""
        if self._after_return and piece[:1] == b"\n":
            piece = piece[1:]
        if piece:
            self._after_return = piece[-1:] == b"\r"
        *lines, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > LONGEST:
            self._rest = b""
        for line in lines:
            event = self._line(line.decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return Event(self._id, "\n".join(data)) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._size += len(value) + 1
            if self._size <= LONGEST:
                self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None
