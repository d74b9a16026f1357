"""The reading side: events out of a journal. `status.py` and `timeline.py` say what they amount to.

A journal lies on a volume that others may write to, and its writer may have been killed at any moment: lines that make no
sense are counted and skipped, and nothing that is not a plain file is read.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass

from firstlight.errors import UsageError
from firstlight.journal.event import JOURNAL_VERSION, LONGEST_BOOT, Event, Stage

# A boot writes some kilobytes, and an app that is restarted for weeks much more. Of what is bigger than this the middle is left out.
_SIZE_LIMIT = 16 << 20


@dataclass(frozen=True)
class Record:
    """One boot's journal as far as it can be read. `skipped` counts lines that could not."""

    boot: str
    events: tuple[Event, ...]
    skipped: int = 0


def boots(directory: str) -> list[str]:
    """The ids of the recorded boots under a state directory, oldest first.

    Raises:
        UsageError: there is no journal.
    """
    try:
        names = os.listdir(os.path.join(directory, "boots"))
    except OSError as error:
        raise UsageError(f"cannot read a journal under {directory}: {error.strerror}") from None
    found = sorted(name[: -len(".jsonl")] for name in names if name.endswith(".jsonl"))
    if not found:
        raise UsageError(f"cannot find a recorded boot under {directory}")
    return found


def read(directory: str, boot: str | None = None) -> Record:
    """The journal of a boot, the latest unless told otherwise.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    chosen = boot or boots(directory)[-1]
    path = os.path.join(directory, "boots", chosen + ".jsonl")
    if os.sep in chosen:
        raise UsageError(f"cannot take {chosen!r} for a boot: it is not the name of one")
    try:
        content = _content(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    record = parse(chosen, content)
    if not record.events:
        raise UsageError(f"cannot read {path}: no line of it is an event of journal version {JOURNAL_VERSION}")
    return record


def _content(path: str) -> bytes:
    # O_NONBLOCK: somebody may have put a FIFO there.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is not a plain file")
        beginning = file.read(_SIZE_LIMIT // 2)
        file.seek(max(len(beginning), status.st_size - _SIZE_LIMIT // 2))
        left_out = b"\n" if file.tell() > len(beginning) else b""
        return beginning + left_out + file.read(_SIZE_LIMIT // 2)


def parse(boot: str, content: bytes) -> Record:
    """The events in a journal's bytes, each number once. A torn line and what is of another version are skipped."""
    events: dict[int, Event] = {}
    skipped = 0
    for line in content.split(b"\n"):
        if not line:
            continue
        event = _event(line)
        if event is None:
            skipped += 1
        else:
            events.setdefault(event.number, event)
    return Record(boot, tuple(events[number] for number in sorted(events)), skipped)


def _event(line: bytes) -> Event | None:
    try:
        data = json.loads(line)
        if data.pop("v") != JOURNAL_VERSION:
            return None
        since_start = float(data.pop("s"))
        if not 0 <= since_start < LONGEST_BOOT:  # nan is not either
            return None
        return Event(
            boot=str(data.pop("boot")),
            number=int(data.pop("n")),
            kind=str(data.pop("kind")),
            stage=Stage(data.pop("stage")),
            at=str(data.pop("t")),
            since_start=since_start,
            data=data,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
