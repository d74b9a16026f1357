"""Files of bounded size, and a way to write them that cannot hold anybody up. Part of copy_output.py.

A volume can hang, fill up or turn read-only. A thread of its own writes there, what waits for it is bounded, and what did not
find room is counted and named in the copy itself.
"""

import collections
import json
import os
import stat
import threading
from typing import Any, Deque, Dict, Optional, Tuple

WAITING = 4 << 20  # bytes that wait for the volume
GATHER = 0.2  # seconds in which lines are gathered into one write: a network volume is asked five times a second at most
GATHERED = 64 << 10  # bytes that are written without gathering more
RETRY = 1.0  # seconds between two tries on a volume that refused
LAST = 0.3  # seconds that the end waits for the volume


class Kept:
    """A file of bounded size and its predecessors: NAME.log, NAME.log.1, …"""

    def __init__(self, directory: str, name: str, size: int, files: int) -> None:
        self.directory = directory
        self.file = name.replace("/", "_") + ".log"
        self.size = size
        self.files = files
        self.folder: Optional[int] = None
        self.descriptor: Optional[int] = None

    def append(self, data: bytes) -> int:
        """Append a part of `data`, and say how much. A file is left for the next one at the end of a line where that can be.

        Raises:
            OSError: nothing was written. The next call begins anew.
        """
        try:
            length = self.open()
            piece = data
            if length + len(data) > self.size:
                end = data.rfind(b"\n", 0, max(self.size - length, 0)) + 1
                if not end and length:
                    self.rotate()
                    return 0
                piece = data[: end or self.size]
            assert self.descriptor is not None
            return os.write(self.descriptor, piece)
        except OSError:
            self.close()
            raise

    def open(self) -> int:
        """Have the file open that bears the name now, and give its length: somebody else may have removed or rotated it."""
        if self.folder is None:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            self.folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self.descriptor is not None:
            own = os.fstat(self.descriptor)
            try:
                named = os.stat(self.file, dir_fd=self.folder, follow_symlinks=False)
                if (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino):
                    return own.st_size
            except FileNotFoundError:
                pass
            os.close(self.descriptor)
            self.descriptor = None
        # Others may write to a volume: no link is followed, and nothing but a plain file is taken (O_NONBLOCK: not even a FIFO waited for).
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self.descriptor = os.open(self.file, flags, 0o600, dir_fd=self.folder)
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "{} is not a plain file".format(self.file))
        return status.st_size

    def rotate(self) -> None:
        """Give each file the name of the one before it; the oldest goes."""
        names = [self.file] + ["{}.{}".format(self.file, number) for number in range(1, self.files)]
        if len(names) == 1:
            os.unlink(self.file, dir_fd=self.folder)
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1])):  # noqa: B905 - Python 3.8 has no strict=
            try:
                os.rename(newer, older, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            except FileNotFoundError:
                pass

    def close(self) -> None:
        """Let go of the file and its directory."""
        for descriptor in (self.descriptor, self.folder):
            if descriptor is not None:
                os.close(descriptor)
        self.descriptor = self.folder = None


class Volume:
    """The copies on the volume: a queue, and the thread that brings it there."""

    def __init__(self, directory: str, files: Dict[str, Kept]) -> None:
        self.directory = directory
        self.files = files
        self.queue: Deque[Tuple[str, bytes]] = collections.deque()
        self.waiting = 0  # bytes in the queue, and those that are being written
        self.missed: Dict[str, int] = {}  # bytes that found no room, by name
        self.torn: Dict[str, bool] = {}  # whether the last line in the queue is unfinished, by name
        self.lost = 0  # bytes that found no room in this outage
        self.full = False  # the last that came found no room
        self.troubled = False
        self.closing = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def put(self, name: str, data: bytes) -> None:
        """Let `data` be written, if there is room for it."""
        with self.changed:
            room = WAITING // 2 if self.full else WAITING  # few large holes are better than many
            self.full = self.waiting + len(data) > room
            if self.full:
                self.missed[name] = self.missed.get(name, 0) + len(data)
                self.lost += len(data)
                self.trouble("it takes less than the app prints, or nothing at all")
                return
            self.mark(name)
            self.enqueue(name, data)
            self.changed.notify()

    def miss(self, name: str, size: int) -> None:
        """Somebody before us has left out so many bytes here."""
        with self.changed:
            self.missed[name] = self.missed.get(name, 0) + size

    def mark(self, name: str) -> None:
        """Say in the copy how much is missing here, on a line of its own."""
        missed = self.missed.pop(name, 0)
        if missed:
            self.enqueue(name, (b"\n" if self.torn.get(name) else b"") + marker(missed))

    def enqueue(self, name: str, data: bytes) -> None:
        self.queue.append((name, data))
        self.waiting += len(data)
        self.torn[name] = not data.endswith(b"\n")

    def run(self) -> None:
        """Write until the end."""
        while True:
            with self.changed:
                while not self.queue:
                    self.recover()
                    if self.queue:
                        break
                    if self.closing:
                        return
                    self.changed.wait()
                if not self.closing and not self.troubled:
                    self.changed.wait_for(lambda: self.closing or self.waiting > GATHERED, GATHER)
                name, data = self.take()
            while data:
                try:
                    data = data[self.write(name, data) :]
                except OSError as error:
                    with self.changed:
                        self.trouble(error.strerror or str(error))
                        if self.closing:
                            return
                        self.changed.wait_for(lambda: self.closing, RETRY)

    def write(self, name: str, data: bytes) -> int:
        written = self.files[name].append(data)
        with self.changed:
            self.waiting -= written
        return written

    def take(self) -> Tuple[str, bytes]:
        """What stands first in the queue, with all behind it that goes into the same file."""
        name, data = self.queue.popleft()
        pieces = [data]
        while self.queue and self.queue[0][0] == name:
            pieces.append(self.queue.popleft()[1])
        return name, b"".join(pieces)

    def trouble(self, words: str) -> None:
        """Say once for each outage that the copy is not written."""
        if not self.troubled:
            self.troubled = True
            answer(step="trouble", words="cannot copy the output to {}: {}; it is passed on all the same".format(self.directory, words))

    def recover(self) -> None:
        """All that waited is written: what found no room is named, and the outage is over."""
        for name in list(self.missed):
            self.mark(name)
        if self.troubled and not self.queue:
            self.troubled = False
            words = "the output is copied to {} again".format(self.directory)
            answer(
                step="recovered", words=words + ("; {} bytes are missing there".format(self.lost) if self.lost else ""), missed=self.lost
            )
            self.lost = 0

    def close(self) -> None:
        """Give what waits a moment to be written."""
        with self.changed:
            self.closing = True
            self.changed.notify()
        self.thread.join(LAST)
        if self.waiting:
            words = "cannot copy the last {} bytes of the output to {} in time".format(self.waiting, self.directory)
            answer(step="trouble", words=words)


def marker(missed: int) -> bytes:
    """The line that stands where bytes are missing."""
    return b"[firstlight: %d bytes were not copied]\n" % missed


def answer(**words: Any) -> None:
    """Tell the core, in one write that no other can come between. When nobody listens any more, the work goes on."""
    try:
        os.write(1, (json.dumps(words, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
    except OSError:
        pass
