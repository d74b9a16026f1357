"""Ports of a container's own network, reached from outside, and one of ours reached from inside.

A socket belongs to the network namespace in which it was made, whoever uses it: so a thread goes there, makes it and comes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Callable

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000
_PIECE = 65536


def socket_in(namespace: str) -> socket.socket:
    """A socket of the network namespace at this path. Other threads notice nothing."""
    with open("/proc/thread-self/ns/net") as here, open(namespace) as there:
        _enter(there.fileno())
        try:
            return socket.socket()
        finally:
            _enter(here.fileno())


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")


class Passage:
    """Passes what comes to one port on to another."""

    def __init__(self, accepting: socket.socket, make: Callable[[], socket.socket], port: int) -> None:
        """`make` gives a socket of the network where `port` is; it fails where that network is gone."""
        self.port: int = accepting.getsockname()[1]
        self._accepting = accepting
        self._make = make
        self._to = port
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, name=f"passage to {port}", daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more, and cut what is open."""
        with self._lock:
            ends = [self._accepting, *self._open]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._accepting.close()

    def _accept(self) -> None:
        while True:
            try:
                outer, _ = self._accepting.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._pass_on, args=(outer,), daemon=True)
            self._threads = [one for one in self._threads if one.is_alive() or one is threading.current_thread()]
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, outer: socket.socket) -> None:
        with outer:
            try:
                inner = self._make()
            except OSError:
                return
            with inner:
                with self._lock:
                    self._open |= {outer, inner}
                try:
                    inner.connect(("127.0.0.1", self._to))
                except OSError:
                    pass
                else:
                    back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
                    back.start()
                    _pump(outer, inner)
                    back.join()
                with self._lock:
                    self._open -= {outer, inner}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """One direction, and its end as well."""
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def publish(namespace: Callable[[], str | None], port: int) -> Passage:
    """A new port of our loopback for a port in there; where nothing is there, it hangs up."""

    def make() -> socket.socket:
        place = namespace()
        if place is None:
            raise OSError("the container does not run")
        return socket_in(place)

    return Passage(socket.create_server(("127.0.0.1", 0)), make, port)


def invite(namespace: str, port: int) -> Passage:
    """A port of our loopback for programs in there, under the same address."""
    accepting = socket_in(namespace)
    accepting.bind(("127.0.0.1", port))
    accepting.listen()
    return Passage(accepting, socket.socket, port)
