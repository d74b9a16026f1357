"""Read a file of a volume that may hang: in a child, so that whatever never returns is not PID 1.

A read from a dead network volume cannot be interrupted, only killed. The child is a fork that runs nothing else: it costs a
third of a millisecond, where an interpreter of its own would cost ten.
"""

from __future__ import annotations

import errno
import os
import select
import stat

from firstlight.system import clock, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # as in process.py

_GIVEN, _REFUSED = b"+", b"-"


def read(name: str, limit: int, patience: float) -> bytes:
    """At most `limit` bytes of a regular file; links are followed. Only where no loop runs that would reap the child first.

    Raises:
        OSError: it cannot be read, is no regular file, or did not come within `patience` seconds (ETIMEDOUT).
    """
    source, target = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
        if pid == 0:
            _answer(files.path(name), limit, target)  # ends the child
    except OSError:
        os.close(source)
        raise
    finally:
        os.close(target)
    answer = None
    try:
        answer = _take(source, patience)
    finally:
        os.close(source)
        _end(pid, answered=answer is not None)
    if answer is None:
        raise OSError(errno.ETIMEDOUT, f"the volume did not give it within {patience:g} s")
    if answer[:1] == _GIVEN:
        return answer[1:]
    number, _, words = answer[1:].decode().partition(" ")
    raise OSError(int(number or errno.EIO), words or "the child that read it was killed")


def _answer(path: str, limit: int, target: int) -> None:
    """In the child."""
    try:
        try:
            answer = _GIVEN + _content(path, limit)
        except OSError as error:
            answer = _REFUSED + f"{error.errno} {error.strerror}".encode()
        while answer:
            answer = answer[os.write(target, answer) :]
    finally:
        os._exit(0)  # whatever else the interpreter would do at its end is the parent's business


def _content(path: str, limit: int) -> bytes:
    kind = os.stat(path).st_mode  # an open of a device may do something
    if not stat.S_ISREG(kind):
        words = "a directory" if stat.S_ISDIR(kind) else "a pipe" if stat.S_ISFIFO(kind) else "no regular file"
        raise OSError(errno.EINVAL, f"it is {words}")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    content = b""
    while len(content) < limit and (piece := os.read(descriptor, limit - len(content))):
        content += piece
    return content


def _take(source: int, patience: float) -> bytes | None:
    """All that comes until the other end is closed; None where that takes too long."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    answer = bytearray()
    deadline = clock.now() + patience
    while (left := deadline - clock.now()) > 0 and poll.poll(left * 1000):
        piece = os.read(source, 1 << 16)
        if not piece:
            return bytes(answer)
        answer += piece
    return None


def _end(pid: int, *, answered: bool) -> None:
    """A child that sticks in the kernel is not waited for: it dies when it can, and the loop reaps it like any orphan."""
    if not answered:
        os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0 if answered else os.WNOHANG)
    except ChildProcessError:
        pass  # whoever started us ignores SIGCHLD, so the kernel has reaped it
