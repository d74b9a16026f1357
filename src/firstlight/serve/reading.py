"""Looking into events whose fields may be anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from firstlight.journal.event import Event


def last(events: Sequence[Event], kind: str) -> Event | None:
    """The last event of a kind."""
    return next((event for event in reversed(events) if event.kind == kind), None)


def field(events: Sequence[Event], kind: str, name: str) -> Any:
    """A field of the last event of a kind; None when there is none."""
    event = last(events, kind)
    return event.data.get(name) if event else None


def inside(data: Any, *names: str) -> Any:
    """What lies under these names, one in the other."""
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def items(value: Any) -> Iterable[Any]:
    """A list's items; none where it is no list."""
    return value if isinstance(value, (list, tuple)) else ()


def text(value: Any) -> str:
    """A text, empty where it is none."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """A whole number, None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
