"""What a turn of the loop can bring."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from firstlight.system.process import Process


class Signalled:
    """A signal has arrived.

    `sender` is a pid, 0 when the kernel or somebody outside our PID namespace sent it; `from_kernel` tells those two apart.
    """

    __slots__ = ("from_kernel", "number", "sender")

    def __init__(self, number: int, sender: int, *, from_kernel: bool) -> None:
        self.number = number
        self.sender = sender
        self.from_kernel = from_kernel


class Exited:
    """A child has ended and was reaped; all that it had printed is in its `output` and `errors`."""

    __slots__ = ("process",)

    def __init__(self, process: Process) -> None:
        self.process = process


class Suspended:
    """A child was stopped by SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU."""

    __slots__ = ("process",)

    def __init__(self, process: Process) -> None:
        self.process = process


class Printed:
    """A child has printed something."""

    __slots__ = ("process",)

    def __init__(self, process: Process) -> None:
        self.process = process


class Changed:
    """Something came, went or changed its mode in a watched directory."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory


class Requested:
    """Somebody other than the kernel wants something done: a person through the control socket, a check, the watch.

    `action`: stop, restart, retry, rediagnose, hold, exit or relocate. `cause`: order, check, poisoned, zombie, cuda or watch.
    """

    __slots__ = ("action", "cause", "words")

    def __init__(self, action: str, cause: str, words: str) -> None:
        self.action = action
        self.cause = cause
        self.words = words


if TYPE_CHECKING:
    Happening: TypeAlias = Signalled | Exited | Suspended | Printed | Changed | Requested
