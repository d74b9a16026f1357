"""What lies in files is read beside the agent, never by it: a volume that hangs must not hang the page."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import threading  # noqa: TID251 - a read that never returns can be left behind in no other way, and nothing here starts children
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from firstlight import errors
from firstlight.journal import read
from firstlight.journal.status import status
from firstlight.serve.redact import Redactor

Found = TypeVar("Found")

# How much of the app's output is looked at, in bytes, and how much of it is shown.
_TAIL = 64 << 10
_LINES = 80
_LONGEST_LINE = 2000

_PAST_BOOTS = 8

_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Lookup(Generic[Found]):
    """Something that is read in the background and kept for a while.

    Attributes:
        value: what was found last; None before.
        late: a read is under way that has not answered in time.
    """

    def __init__(self, find: Callable[[], Found], *, kept: float) -> None:
        """`find` may block for ever. What it found is good for `kept` seconds."""
        self.value: Found | None = None
        self.late = False
        self._find = find
        self._kept = kept
        self._found_at = 0.0
        self._under_way: asyncio.Future[None] | None = None

    async def get(self, patience: float) -> Found | None:
        """What is known after at most `patience` seconds. Never more than one read is under way."""
        if self._under_way is None and (self.value is None or time.monotonic() - self._found_at > self._kept):
            self._under_way = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._run, args=(asyncio.get_running_loop(), self._under_way), daemon=True).start()
        if self._under_way is not None:
            await asyncio.wait({self._under_way}, timeout=0 if self.late else patience)
            self.late = self._under_way is not None
        return self.value

    def _run(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[None]) -> None:
        found: Found | None = self.value
        try:
            found = self._find()
        except Exception:  # noqa: BLE001, S110 - whatever is wrong with a file is no reason to have no page
            pass
        try:
            loop.call_soon_threadsafe(self._done, answer, found)
        except RuntimeError:
            pass  # the agent has ended meanwhile

    def _done(self, answer: asyncio.Future[None], found: Found | None) -> None:
        self._under_way = None
        self.late = False
        self._found_at = time.monotonic()
        self.value = found
        answer.set_result(None)


@dataclass(frozen=True, kw_only=True)
class PastBoot:
    """An earlier boot in short."""

    boot: str
    started_at: str
    ready_after: float | None
    seconds: float
    condition: str
    cause: str
    code: int | None


def tail(path: str, redactor: Redactor) -> Sequence[str]:
    """The last lines of the app's output, fit to be shown. Nothing where there is no such file yet."""
    try:
        # O_NONBLOCK: somebody may have put a FIFO there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ()
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return ()
        file.seek(max(0, found.st_size - _TAIL))
        content = file.read(_TAIL)
        if found.st_size > _TAIL:
            content = content.partition(b"\n")[2] or content  # one line alone may be longer than that
    return readable(content, redactor)


def readable(content: bytes, redactor: Redactor) -> Sequence[str]:
    """Lines of a terminal's output as text: without its codes, of a progress bar the last state, without secrets."""
    text = redactor.text(_TERMINAL_CODES.sub(_keep_return, content.decode("utf-8", "replace")))
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} … ({len(line)} characters)" for line in lines[-_LINES:]]


def _keep_return(match: re.Match[str]) -> str:
    return "\r" if match[0] == "\r" else ""


def past_boots(state_dir: str, boot: str, redactor: Redactor) -> Sequence[PastBoot]:
    """The boots before this one, the latest first."""
    try:
        names = [name for name in read.boots(state_dir) if name != boot]
    except errors.UsageError:
        return ()
    found = []
    for name in reversed(names[-_PAST_BOOTS:]):
        try:
            events = read.read(state_dir, name).events
        except errors.UsageError:
            continue
        stands = status(events)
        ready = next((event for event in events if event.kind == "ready"), None) or next(
            (event for event in events if event.kind == "app-started"), None
        )
        found.append(
            PastBoot(
                boot=redactor.text(name),
                started_at=stands.started_at,
                ready_after=ready.since_start if ready else None,
                seconds=stands.seconds,
                condition=stands.condition.value if stands.condition else "",
                cause=redactor.text(stands.cause or ""),
                code=stands.code,
            )
        )
    return found
