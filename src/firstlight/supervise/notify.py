"""sd_notify, both ways: we tell whoever manages us (NOTIFY_SOCKET), and the app can tell us.

The protocol is a datagram of NAME=VALUE lines: sd_notify(3).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from firstlight.journal.event import Stage
from firstlight.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.journal.event import Event
    from firstlight.system.loop import Loop

# What a manager tells its service, and the service's own children must not take for theirs.
OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

# Sockets that were passed to us (sd_listen_fds(3)). They are the app's, and no companion's.
PASSED = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

# By how much each wait for a GPU, and each probe, extends the manager's patience beyond its own length, in seconds.
_MARGIN = 30.0

# A probe has at most so many steps, each with a deadline of its own.
_STEPS = 5

_LARGEST = 4096


class Recipient:
    """Whoever started us and wants to know how we are. It is told of journal events, and fed its watchdog."""

    def __init__(self, loop: Loop, address: str, period: float | None, probe_timeout: float) -> None:
        """`period` is how often it wants a sign of life, in seconds; `probe_timeout` is the deadline of one step of a probe."""
        self._loop = loop
        self._probe_timeout = probe_timeout
        # An abstract name begins with "@", which stands for a NUL.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        import socket  # half a megabyte that only those pay who have a manager

        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._ready = False
        self._period = period
        if period is not None:
            self._feed_watchdog()

    def hear(self, event: Event) -> None:
        """A listener of the journal."""
        words = message(event, ready_before=self._ready, probe_timeout=self._probe_timeout)
        self._ready = self._ready or event.kind == "ready"
        if words:
            self._send(words)

    def _feed_watchdog(self) -> None:
        self._send("WATCHDOG=1")
        assert self._period is not None
        self._loop.call_at(clock.now() + self._period / 2, self._feed_watchdog)

    def _send(self, words: str) -> None:
        try:
            self._socket.sendto(words.encode(), self._address)
        except OSError:
            pass  # it is gone, or does not listen: nobody here depends on it


def manager(loop: Loop, variables: Mapping[str, str], probe_timeout: float) -> Recipient | None:
    """Who wants to be told, if anybody does."""
    address = variables.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return None
    period = None
    if variables.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()) and variables.get("WATCHDOG_USEC", "").isdecimal():
        period = int(variables["WATCHDOG_USEC"]) / 1e6 or None
    return Recipient(loop, address, period, probe_timeout)


def message(event: Event, *, ready_before: bool, probe_timeout: float) -> str:
    """What a manager is told of an event; nothing where it is empty. Pure."""
    data = event.data
    if event.kind == "ready":
        return "STATUS=ready" if ready_before else "READY=1\nSTATUS=ready"
    if event.kind == "stopping":
        return "STOPPING=1\nSTATUS=stopping" if data.get("for_good") else "STATUS=stopping the app"
    if event.kind == "wait":
        seconds = data.get("seconds")
        patience = _patience(seconds if isinstance(seconds, (int, float)) else 0)
        return f"{patience}\nSTATUS=waiting for {data.get('fault') or 'a GPU'}"
    if event.kind == "hold":
        return f"STATUS=holding: {_line(data.get('reason'))}"
    if event.kind == "restart":
        return f"STATUS=restarting the app: {_line(data.get('reason'))}"
    if event.kind == "condition":
        return f"STATUS={event.stage.value}, {data.get('condition')}"
    if event.kind == "stage" and event.stage is Stage.PROBE:
        return f"{_patience(_STEPS * probe_timeout)}\nSTATUS=bringing CUDA up"
    if event.kind == "app-started":
        return "STATUS=the app is starting"
    return ""


def _patience(seconds: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={int((seconds + _MARGIN) * 1e6)}"


def _line(words: object) -> str:
    return " ".join(str(words).split())


class Inbox:
    """The socket on which the app tells us that it is ready.

    Attributes:
        address: what NOTIFY_SOCKET is for the app.
    """

    def __init__(self, loop: Loop, directory: str | None, boot: str, heard: Callable[[Mapping[str, str]], None]) -> None:
        """`heard` gets the variables of each message. Where no file can be made in `directory`, it has an abstract name after the boot."""
        self._loop = loop
        self._heard = heard
        import socket

        self.address = os.path.join(directory or "/proc", "notify.sock")  # nobody can make a file in /proc
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(self.address)
        except OSError:
            self.address = f"@firstlight/{boot}/notify"
            self._socket.bind("\0" + self.address[1:])
        loop.receive(self._socket.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_LARGEST)
        except OSError:
            return
        lines = data.decode("utf-8", "replace").splitlines()
        self._heard(dict(line.split("=", 1) for line in lines if "=" in line))
