"""Write the journal of one boot: lines from standard input, appended to DIRECTORY/boots/BOOT.jsonl.

    write_journal.py DIRECTORY BOOT [again]      again: it goes on after one that has died

It is the only process that touches the volume: when that hangs, this hangs and nobody else. It ends when its input does.
Every line is one write to a file opened for append, which is what network volumes keep even when two machines use them;
a change of stage is followed by an fsync. Lines that cannot be written are kept, and tried again with the next one.

Answers: wrote (`first` and `last`: numbers of lines that are in the file), trouble (`words`: why lines are not written).
"""

import collections
import json
import os
import signal
import sys
from typing import Deque, List, Optional, Tuple

KEPT = 5000  # lines that wait for a volume which takes none; the oldest go first


class Writer:
    """The file, and the lines that are not in it yet."""

    def __init__(self, directory: str, boot: str, *, again: bool) -> None:
        self.directory = directory
        self.boot = boot
        self.again = again
        self.waiting: Deque[Tuple[int, str, bytes]] = collections.deque(maxlen=KEPT)  # number, stage, line
        self.descriptor: Optional[int] = None
        self.stage = ""
        self.torn = False  # the last write was cut short: what follows begins on a line of its own
        self.troubled = False

    def add(self, line: bytes) -> None:
        """Take one line."""
        event = json.loads(line)
        self.waiting.append((event["n"], event["stage"], line))

    def write(self) -> None:
        """Write what waits, and answer how far that went."""
        written: List[int] = []
        try:
            if self.descriptor is None:
                self.descriptor = open_file(self.directory, self.boot, again=self.again)
                self.torn = self.again and is_torn(self.descriptor)
            while self.waiting:
                number, stage, line = self.waiting[0]
                self.append(line)
                self.waiting.popleft()
                written.append(number)
                if stage != self.stage:
                    self.stage = stage
                    os.fsync(self.descriptor)
            self.troubled = False
        except OSError as error:
            if not self.troubled:
                self.troubled = True
                answer(step="trouble", words=error.strerror or str(error))
        if written:
            answer(step="wrote", first=written[0], last=written[-1])

    def append(self, line: bytes) -> None:
        """Append one line with one write."""
        assert self.descriptor is not None
        piece = b"\n" + line if self.torn else line
        size = os.write(self.descriptor, piece)
        self.torn = size < len(piece)
        if self.torn:
            raise OSError(None, "the volume took a part of a line only; it is full")


def open_file(directory: str, boot: str, *, again: bool) -> int:
    """The journal's file, a new one unless `again`. Others may write to the volume: no link is followed below the state directory.

    A command line can hold a secret, so nobody else may read it.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    boots = os.path.join(directory, "boots")
    try:
        os.mkdir(boots, 0o700)
    except FileExistsError:
        pass
    folder = os.open(boots, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        how = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(boot + ".jsonl", how if again else how | os.O_EXCL, 0o600, dir_fd=folder)
        os.set_blocking(descriptor, True)
        return descriptor
    finally:
        os.close(folder)


def is_torn(descriptor: int) -> bool:
    """Whether the last line of the file is not finished."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def answer(**words: object) -> None:
    """Tell whoever started us. When nobody listens any more, writing goes on."""
    try:
        os.write(1, (json.dumps(words) + "\n").encode("ascii"))
    except OSError:
        pass


def main() -> int:
    """Write until the input ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the end of the input ends it, after the last line
    writer = Writer(sys.argv[1], sys.argv[2], again="again" in sys.argv[3:])
    unfinished = b""
    while True:
        piece = os.read(0, 1 << 16)
        if not piece:
            return 0 if not writer.waiting else 1
        *lines, unfinished = (unfinished + piece).split(b"\n")
        for line in lines:
            writer.add(line + b"\n")
        if lines:
            writer.write()


if __name__ == "__main__":
    sys.exit(main())
