"""Print what the app has printed, and go on doing so with --follow.

The bytes are untouched. They come from the copy on the volume where there is one, else from the last of it that the
instance keeps.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import stat
from collections.abc import Iterator

from firstlight import errors, settings
from firstlight.system import instance

_STDOUT = 1
_PIECE = 1 << 20

# How often a followed file is looked at, in milliseconds. A network volume tells nobody that another machine has written.
_LOOK = 250


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of logs."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", default="app", help="whose output: app (the default), or the name of a companion"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what is printed from now on, through rotations and restarts"
    )
    parser.add_argument("--lines", metavar="N", type=_lines, help="begin with the last N lines (default: all that is kept)")
    parser.add_argument("--log-dir", metavar="DIR", help="where the copy on the volume is [FIRSTLIGHT_LOG_DIR]")
    parser.add_argument("--run-dir", metavar="DIR", help="where the instance's directory is [FIRSTLIGHT_RUN_DIR]")


def run(arguments: argparse.Namespace) -> int:
    """Print, and follow."""
    if "/" in arguments.name:
        raise errors.UsageError(f"cannot take {arguments.name!r} for the name of an output")
    log = Log(_directory(arguments), arguments.name)
    try:
        if not log.look() and not arguments.follow:
            raise errors.UsageError(f"cannot find output of {arguments.name} in {log.directory}: {_there(log.directory)}")
        if arguments.lines is not None:
            log.skip(arguments.lines)
        for piece in log.read():
            _write(piece)
        while arguments.follow:
            _pause()
            log.look()
            for piece in log.read():
                _write(piece)
    finally:
        log.close()
    return 0


class Log:
    """The files of one name, NAME.log and its predecessors, read in the order in which they were written.

    All of them stay open as long as they bear one of the names: else a new file might get the number of one that is gone.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self._names = re.compile(re.escape(name) + r"\.log(?:\.([1-9]\d*))?")
        self._opened: dict[tuple[int, int], int] = {}  # by device and inode, oldest first
        self._unread: list[int] = []  # of these, those that may hold more, oldest first

    def look(self) -> bool:
        """See which files there are now. True when there are any."""
        found: dict[tuple[int, int], int] = {}
        for name in self._listed():  # newest first: a rotation meanwhile shows one twice, and hides none
            try:
                descriptor = os.open(os.path.join(self.directory, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue  # rotated away, or not ours to read: a link
            status = os.fstat(descriptor)
            file = (status.st_dev, status.st_ino)
            if file in found or not stat.S_ISREG(status.st_mode):
                os.close(descriptor)
            elif file in self._opened:
                os.close(descriptor)
                found[file] = self._opened[file]
            else:
                found[file] = descriptor
        appeared = [descriptor for file, descriptor in reversed(found.items()) if file not in self._opened]
        gone = [descriptor for file, descriptor in self._opened.items() if file not in found]
        self._opened = dict(reversed(found.items()))
        self._unread += appeared
        for descriptor in gone:
            if descriptor not in self._unread:
                os.close(descriptor)
        return bool(found)

    def _listed(self) -> list[str]:
        try:
            matches = [match for name in os.listdir(self.directory) if (match := self._names.fullmatch(name))]
        except OSError:
            return []  # it may come (back)
        return [match[0] for match in sorted(matches, key=lambda match: int(match[1] or 0))]

    def skip(self, lines: int) -> None:
        """Pass over all but the last lines of what is there."""
        for descriptor in reversed(self._unread):
            position, found = _last_lines(descriptor, lines)
            os.lseek(descriptor, position, os.SEEK_SET)
            lines -= found

    def read(self) -> Iterator[bytes]:
        """What is there and was not read yet. Only the newest file is read again later: nobody writes into the others."""
        while self._unread:
            descriptor = self._unread[0]
            if os.fstat(descriptor).st_size < os.lseek(descriptor, 0, os.SEEK_CUR):
                os.lseek(descriptor, 0, os.SEEK_SET)  # somebody has truncated it
            while piece := os.read(descriptor, _PIECE):
                yield piece
            if len(self._unread) == 1:
                return
            del self._unread[0]
            if descriptor not in self._opened.values():
                os.close(descriptor)

    def close(self) -> None:
        """Let go of all files."""
        for descriptor in {*self._opened.values(), *self._unread}:
            os.close(descriptor)


def _last_lines(descriptor: int, lines: int) -> tuple[int, int]:
    """Where the last lines of a file begin, and how many these are. An unfinished line counts as one."""
    end = place = os.fstat(descriptor).st_size
    if not lines:
        return end, 0
    found = 1 if end else 0
    while place > 0:
        start = max(0, place - _PIECE)
        piece = os.pread(descriptor, place - start, start)
        cut = len(piece)
        while (cut := piece.rfind(b"\n", 0, cut)) >= 0:
            if start + cut + 1 == end:
                continue  # the end of the last line begins none
            if found == lines:
                return start + cut + 1, found
            found += 1
        place = start
    return 0, found


def _directory(arguments: argparse.Namespace) -> str:
    """The volume's copy where there is one, else the instance's directory.

    Raises:
        UsageError: there is neither.
    """
    chosen = settings.load({"log_dir": arguments.log_dir, "run_dir": arguments.run_dir}, os.environ)
    if chosen.log_dir and os.path.exists(os.path.join(chosen.log_dir, f"{arguments.name}.log")):
        return chosen.log_dir
    try:
        return instance.latest(os.environ, chosen.run_dir)
    except errors.UsageError:
        if chosen.log_dir:
            raise errors.UsageError(f"cannot find output of {arguments.name} in {chosen.log_dir}: {_there(chosen.log_dir)}") from None
        raise


def _there(directory: str) -> str:
    try:
        names = sorted(name[: -len(".log")] for name in os.listdir(directory) if name.endswith(".log"))
    except OSError as error:
        return error.strerror or str(error)
    return f"there is {', '.join(names)}" if names else "nothing was captured"


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_STDOUT, data) :]


def _pause() -> None:
    """Wait a little; no longer than somebody reads what we print.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    poll = select.poll()
    poll.register(_STDOUT, 0)
    if any(event & select.POLLERR for _, event in poll.poll(_LOOK)):
        raise BrokenPipeError


def _lines(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"cannot take {text!r}: it is a whole number")
    return int(text)
