"""What the pump hands to the copier: the frames in the pipe of each stream, seen from both ends. Part of pump_output.py."""

import fcntl
import os
import select
import struct
import time
from typing import Any, Iterator, Optional, Tuple

# A frame: its kind and its size. MISSED holds the number of bytes that the copier was not given, LIFE the order of that name.
HEADER = struct.Struct("<BI")
DATA, MISSED, LIFE = 1, 2, 3
NUMBER = struct.Struct("<Q")

GATHERED = 64 << 10  # bytes that are handed over at once …
IDLE = 0.02  # … and the seconds after which fewer are
LAST = 64 << 10  # bytes that are kept of what is not handed over: the last lines are those that matter

# A flood shall not cost more than a copy is worth: bytes a second, and at once.
RATE = 16 << 20
BURST = 16 << 20
RESUMED = 4 << 20  # what must be free again before a copy that was broken off goes on: few large holes are better than many

PATIENCE = 0.1  # seconds for which the copier may hold a stream up at a stretch …
SHARE = 0.05  # … and the share of all time, by which that grows again while the copier takes what comes

PIPE_SIZE = 1 << 20  # what Linux lets anybody have; three times the throughput of the 64 KiB that a pipe is born with
F_SETPIPE_SZ = 1031


class Outgoing:
    """The pump's end of the pipe to the copier, which is never waited for beyond `PATIENCE`."""

    def __init__(self, pipe: int) -> None:
        self.pipe: Optional[int] = pipe
        self.gathered = bytearray()  # what was passed on and waits to be handed over
        self.missed = 0  # bytes before those, which will not be
        self.rest = b""  # of frames that went into the pipe in part
        self.patience = PATIENCE
        self.credit = float(BURST)
        self.last = self.taken = time.monotonic()  # when credit was counted; when the copier had taken all
        os.set_blocking(pipe, False)
        widen(pipe)

    def give(self, data: memoryview) -> None:
        """Gather what was passed on, and hand it over when there is enough of it."""
        if self.pipe is None:
            return
        if len(self.gathered) + len(data) < GATHERED:
            self.gathered += data
            return
        self.push(patient=True)
        if not self.rest and self._credit() > (RESUMED if self.missed else 0):
            self.gathered += data
            self.hand_over()
        else:
            self.skip(data)

    def declines(self) -> bool:
        """Whether nothing of what comes now would be handed over, but for the last of it. Time may change that."""
        return self.pipe is None or (self.missed > 0 and bool(self.rest or self._credit() <= RESUMED))

    def pass_over(self, size: int) -> None:
        """So much was passed on without anybody seeing it."""
        self.missed += len(self.gathered) + size
        self.gathered.clear()

    def _credit(self) -> float:
        now = time.monotonic()
        self.credit = min(BURST, self.credit + RATE * (now - self.last))
        self.last = now
        return self.credit

    def skip(self, data: memoryview) -> None:
        """Keep no more than the last of what is not handed over."""
        if len(data) >= LAST:
            self.missed += len(self.gathered) + len(data) - LAST
            self.gathered[:] = data[-LAST:]
            return
        self.gathered += data
        if len(self.gathered) > 2 * LAST:
            self.missed += len(self.gathered) - LAST
            del self.gathered[:-LAST]

    def hand_over(self) -> None:
        """Send what is gathered, and before it how much is missing."""
        missed, self.missed = self.missed, 0
        gathered, self.gathered = self.gathered, bytearray()
        if missed:
            self.send(MISSED, NUMBER.pack(missed))
        if gathered:
            self.credit -= len(gathered)
            self.send(DATA, gathered)

    def begin_life(self, words: bytes) -> None:
        """Tell that what comes from here on belongs to another life of the app."""
        self.hand_over()
        self.send(LIFE, words)

    def send(self, kind: int, data: Any) -> None:
        """Put a frame on its way."""
        self.rest += HEADER.pack(kind, len(data)) + data
        self.push(patient=False)

    def push(self, *, patient: bool) -> None:
        """Write what is on its way, as far as the copier takes it in time."""
        begun = time.monotonic()
        while self.rest and self.pipe is not None:
            try:
                self.rest = self.rest[os.write(self.pipe, self.rest) :]
            except BlockingIOError:
                left = self.patience - (time.monotonic() - begun)
                if not patient or left <= 0 or not becomes_writable(self.pipe, left * 1000):
                    break
            except OSError:
                self.close()  # the copier has gone
        now = time.monotonic()
        self.patience = max(0.0, self.patience - (now - begun))
        if not self.rest:
            self.patience = min(PATIENCE, self.patience + SHARE * (now - self.taken))
            self.taken = now

    def close(self) -> None:
        """No more will come."""
        if self.pipe is not None:
            os.close(self.pipe)
        self.pipe, self.rest = None, b""
        self.gathered.clear()


class Incoming:
    """The copier's end of such a pipe."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.buffer = b""
        self.ended = False

    def read(self) -> Iterator[Tuple[int, bytes]]:
        """The kind and the content of each frame that is complete with what is there now."""
        piece = os.read(self.pipe, PIPE_SIZE)
        self.ended = not piece
        self.buffer += piece
        place = 0
        while place + HEADER.size <= len(self.buffer):
            kind, size = HEADER.unpack_from(self.buffer, place)
            end = place + HEADER.size + size
            if end > len(self.buffer):
                break
            yield kind, self.buffer[place + HEADER.size : end]
            place = end
        self.buffer = self.buffer[place:]


def widen(descriptor: int) -> None:
    """Let a pipe hold more, where it is one and that is allowed."""
    try:
        fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:
        pass  # no pipe, or this user has too many large ones: it works as it is


def becomes_writable(descriptor: int, milliseconds: Optional[float]) -> bool:
    """Wait until a descriptor takes something; for ever where no time is given."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))
