"""Pass the output of the app on, byte for byte, and give a copy of it to whoever keeps one.

    pump_output.py CONFIGURATION          JSON, see `Stream` and copy_output.py

Each stream has a thread that reads, writes, and then offers what it wrote to the copier, a process of its own. So a reader that
is slow holds the app up as a bare pipe would, and nothing else can: no volume, no pattern, no other stream. The copier may hold a
stream up for a twentieth of its time, and of a flood it is not given all: what is missing from a copy is named in it.

Orders, one JSON object a line: `life` (a new life of the app begins; with `over`, that it has ended), `drain` (pass on what is there, then end). The end of the
orders is an order to drain.

Answers: life (what is printed from here on counts as the new life's), closed (nobody reads the stream any more), trouble and recovered
(`words`), matched (a pattern), over (for each stream of a life that is: no match of it will follow), drained (bytes by stream).
"""

import array
import collections
import errno
import fcntl
import json
import os
import select
import signal
import sys
import termios
import threading
import time
from typing import Any, Deque, Dict, Iterator, List, Optional, Tuple

from . import copy_output
from .kept_output import answer
from .output_frames import IDLE, LAST, Outgoing, becomes_writable, widen

PIECE = 512 << 10  # what is read at once
WRITTEN = 64 << 10  # what is written at once …
WRITTEN_LAST = 4 << 10  # … and in a drain, which sees between two writes whether a slow reader still reads
FLOOD = 256 << 10  # where this much waits beside the last bytes, those before are moved without being read
NONBLOCK = 2  # SPLICE_F_NONBLOCK
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the output goes to a file, and a later write may succeed

QUIET = 0.5  # seconds that a drain waits for a grandchild that holds a pipe open, or for a reader that takes nothing
DRAIN = 5.0  # seconds that a drain takes at most while a slow reader still reads
COPIER_QUIET = 0.4  # seconds for the copier to bring the rest to the volume


class Stream:
    """One stream of the app, or of a companion.

    `configuration`: name and stream (its names), from (the pipe's end to read), to (where it goes; null: only copied).
    """

    def __init__(self, configuration: Dict[str, Any], copy: Outgoing, wake: int) -> None:
        self.name: str = configuration["name"]
        self.stream: str = configuration["stream"]
        self.source: int = configuration["from"]
        self.target: Optional[int] = configuration["to"]
        self.copy = copy
        self.buffer = bytearray(PIECE)
        self.lock = threading.Lock()  # around what is counted, and the copy
        self.move = getattr(os, "splice", None)  # Python 3.10 has it; None too where the target takes nothing in this way
        self.taken = 0  # bytes that were read
        self.passed = 0  # bytes that the target has, or refused
        self.copied = 0  # bytes that the copier was offered
        self.dropped = 0  # bytes that the target did not take
        self.lives: Deque[Tuple[int, bytes]] = collections.deque()  # after how many bytes a life begins
        self.owed = 0  # in a drain: what was there when it began
        self.until: Optional[float] = None  # in a drain: when to wait no more
        self.wake = wake
        self.poll = select.poll()
        self.poll.register(self.source, select.POLLIN)
        self.poll.register(wake, select.POLLIN)
        self.thread = threading.Thread(target=self.run, daemon=True)
        widen(self.source)
        if self.target is not None:
            widen(self.target)

    def run(self) -> None:
        """Pass on until nothing comes any more, nobody reads any more, or a drain is over."""
        view = memoryview(self.buffer)
        while self.wait():
            if self.moved():
                continue
            with self.lock:
                size = os.readv(self.source, [self.buffer])
                self.taken += size
            if not size:
                return
            if not self.write(view[:size]):
                self.end()
                return
            with self.lock:
                self.hand_over(view[:size])

    def wait(self) -> bool:
        """Wait for something to read. False when a drain is over."""
        while True:
            copier = self.copy.pipe if self.copy.rest else None
            if copier is not None:
                self.poll.register(copier, select.POLLOUT)
            until = self.until
            timeout = None if until is None else max(0.0, until - time.monotonic())
            if self.copy.gathered and copier is None:
                timeout = IDLE if timeout is None else min(timeout, IDLE)
            ready = [descriptor for descriptor, _ in self.poll.poll(None if timeout is None else timeout * 1000)]
            if copier is not None:
                self.poll.unregister(copier)
            if copier in ready or not ready:
                with self.lock:
                    if self.copy.rest:
                        self.copy.push(patient=False)
                    else:
                        self.copy.hand_over()
            if until is not None and time.monotonic() >= until and self.taken >= self.owed:
                return False
            if self.source in ready:
                return True
            if self.wake in ready:
                self.poll.unregister(self.wake)

    def moved(self) -> bool:
        """Pass on what no copy is made of, from pipe to target within the kernel. Whether that was done; the last of a flood is always read."""
        if self.move is None or self.target is None or self.until is not None or self.lives or not self.copy.declines():
            return False
        if queued(self.source) < FLOOD + LAST:
            return False
        becomes_writable(self.target, None)
        with self.lock:
            if self.lives or self.until is not None:
                return False
            try:
                size = self.move(self.source, self.target, queued(self.source) - LAST, flags=NONBLOCK)
            except BlockingIOError:
                return False
            except OSError:  # it may not be able to take it like this: write() finds out what else may be wrong
                self.move = None
                return False
            self.taken += size
            self.passed += size
            self.copied += size
            self.copy.pass_over(size)
        return bool(size)

    def write(self, data: memoryview) -> bool:
        """Pass on, however long that takes. False when nobody reads any more."""
        while data:
            try:
                size = len(data) if self.target is None else os.write(self.target, data[: WRITTEN if self.until is None else WRITTEN_LAST])
            except BlockingIOError:  # whoever shares it has made it so, and that is not ours to change
                becomes_writable(self.target or 0, None)
                continue
            except OSError as error:
                if error.errno not in PASSING:
                    return False
                if not self.dropped:
                    answer(step="trouble", words="cannot pass the output on: {}".format(error.strerror))
                size = len(data)
                self.dropped += size
            self.passed += size
            data = data[size:]
        return True

    def end(self) -> None:
        """Nobody reads: the app shall find its pipe broken, once the core has closed its own end too."""
        with self.lock:
            os.close(self.source)
            self.source = -1
            self.copy.close()
        answer(step="closed", name=self.name, stream=self.stream)

    def hand_over(self, data: memoryview) -> None:
        """Give the copier what was passed on, and tell it where a new life of the app begins."""
        while self.lives and self.lives[0][0] <= self.taken:
            place, words = self.lives.popleft()
            cut = place - self.copied
            if cut:
                self.copy.give(data[:cut])
                data = data[cut:]
                self.copied = place
            self.copy.begin_life(words)
        if data:
            self.copy.give(data)
        self.copied = self.taken

    def begin_life(self, words: bytes) -> None:
        """All that is in the pipe now belongs to the life before."""
        with self.lock:
            place = self.taken + queued(self.source)
            if place == self.copied:
                self.copy.begin_life(words)
            else:
                self.lives.append((place, words))

    def drain(self, until: float) -> None:
        """Pass on what is there, and what comes until then."""
        with self.lock:
            self.owed = self.taken + queued(self.source)
            self.until = until

    def left(self) -> int:
        """Bytes that came to us, or wait to be read, and went nowhere. What nobody wants to read is not lost."""
        return self.dropped + (0 if self.source < 0 else self.taken - self.passed + queued(self.source))


def queued(pipe: int) -> int:
    """How many bytes wait in a pipe; none in one that is closed."""
    count = array.array("i", [0])
    if pipe >= 0:
        fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def start_copier(configuration: Dict[str, Any]) -> Tuple[int, List[Outgoing], int]:
    """The copier's pid, the ways to it, one for each stream, and a pipe that ends with it."""
    pipes = [os.pipe() for _ in configuration["streams"]]
    ended, lives = os.pipe()
    copier = os.fork()
    if copier == 0:
        # It holds no end of what is passed on: else nobody would find a pipe broken while it lives.
        passed_on = {stream[end] for stream in configuration["streams"] for end in ("from", "to")}
        for descriptor in {0, ended, *passed_on, *(write for _, write in pipes)} - {None}:
            os.close(descriptor)
        copy_output.main(configuration, [read for read, _ in pipes])
        sys.exit(0)
    os.close(lives)
    for read, _ in pipes:
        os.close(read)
    return copier, [Outgoing(write) for _, write in pipes], ended


def orders(copier_ended: int) -> Iterator[Dict[str, Any]]:
    """Each order from standard input; ends with it. Says so where the copier ends meanwhile."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(copier_ended, select.POLLIN)
    unfinished = b""
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if copier_ended in ready:
            poll.unregister(copier_ended)
            answer(step="trouble", words="what copies the output has ended; the output itself is passed on")
        if 0 in ready:
            piece = os.read(0, 1 << 16)
            if not piece:
                return
            *lines, unfinished = (unfinished + piece).split(b"\n")
            yield from map(json.loads, lines)


def drain(streams: List[Stream], awake: int) -> None:
    """Let the streams pass on what is there; wait as long as that goes on, and no longer."""
    begun = last = time.monotonic()
    for stream in streams:
        stream.drain(begun + QUIET)
    os.close(awake)
    passed = -1
    while True:
        now = time.monotonic()
        if sum(stream.passed for stream in streams) != passed:
            passed = sum(stream.passed for stream in streams)
            last = now
        until = min(last + QUIET, begun + DRAIN)
        alive = [stream.thread for stream in streams if stream.thread.is_alive()]
        if not alive or now >= until:
            return
        alive[0].join(until - now)


def main() -> int:
    """Pass on until there is an order to end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the end of the orders ends it, after the last byte
    configuration = json.loads(sys.argv[1])
    copier, copies, copier_ended = start_copier(configuration)
    wake, awake = os.pipe()
    streams = [Stream(stream, copy, wake) for stream, copy in zip(configuration["streams"], copies)]  # noqa: B905 - Python 3.8 has no strict=
    for stream in streams:
        stream.thread.start()
    for order in orders(copier_ended):
        if order["order"] == "drain":
            break
        if order["order"] == "life":
            for stream in streams:
                if stream.name == order.get("name", "app"):
                    stream.begin_life(json.dumps(order).encode("ascii"))
            answer(step="life", life=order["life"])
    drain(streams, awake)
    for stream in streams:
        if stream.lock.acquire(timeout=COPIER_QUIET):
            stream.copy.hand_over()
            stream.copy.push(patient=True)
            stream.copy.close()
            stream.lock.release()
    poll = select.poll()
    poll.register(copier_ended, select.POLLIN)
    if not poll.poll(COPIER_QUIET * 1000):
        os.kill(copier, signal.SIGKILL)  # a pattern that takes for ever would outlive us all
    answer(
        step="drained",
        streams={"{0.name}/{0.stream}".format(stream): stream.passed - stream.dropped for stream in streams},
        dropped=sum(stream.left() for stream in streams),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
