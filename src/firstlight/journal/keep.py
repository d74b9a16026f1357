"""Which events of a long run stay in memory: how it began, the last one of each sort, and the news. Pure.

An app whose check flaps makes thousands of events in a day. What they are about must still be there then: when the run began, what
was proven, which life of the app this is.
"""

from __future__ import annotations

from collections.abc import Hashable

from firstlight.journal.event import Event


def keep(events: list[Event], limit: int) -> None:
    """Where there are more than `limit`, leave a quarter from the beginning, half of them from the end, and what is last of its sort."""
    if len(events) <= limit:
        return
    first, middle, latest = events[: limit // 4], events[limit // 4 : -(limit // 2)], events[-(limit // 2) :]
    last = {_sort(event): event.number for event in events}
    events[:] = [*first, *(event for event in middle if last[_sort(event)] == event.number), *latest]


def _sort(event: Event) -> Hashable:
    """What replaces an event is one of the same kind, about the same check, companion, fault or GPU."""
    gpu = event.data.get("gpu")
    uuid = gpu.get("uuid") if isinstance(gpu, dict) else None
    return event.kind, *(str(event.data.get(name)) for name in ("check", "name", "fault")), str(uuid)
