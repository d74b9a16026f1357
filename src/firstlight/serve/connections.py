"""Sockets and the bounds on whoever connects: how many, how slow, how big."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from firstlight.serve.access import Transport

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Connections at once, those that have said nothing yet included; those beyond are closed unheard.
MOST_CONNECTIONS = 128

# How long the other end may take for a whole request, and for taking what we answer, in seconds.
REQUEST_PATIENCE = 5.0
ANSWER_PATIENCE = 15.0

# How long a connection may idle between two requests, in seconds.
KEEP_ALIVE = 15

# Bytes of a request's first line and headers.
LONGEST_HEAD = 16 << 10


@dataclass(frozen=True)
class Peer:
    """The other end. `words` name it where it is known."""

    transport: Transport
    address: str = ""
    words: str = ""


class BoundedProtocol(H11Protocol):
    """uvicorn's, which waits for ever for the rest of a request and for a reader that does not read."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._impatience: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Somebody connects."""
        self.app_state = {"peer": _peer(transport)}
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody is gone."""
        super().connection_lost(exc)
        for timer in (self._impatience, self._unread):
            if timer is not None:
                timer.cancel()
        self._impatience = self._unread = None

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next request may follow."""
        super().on_response_complete()
        self._watch(idle=True)

    def pause_writing(self) -> None:
        """The other end reads too slowly."""
        super().pause_writing()
        self._unread = self.loop.call_later(ANSWER_PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch(self, *, idle: bool = False) -> None:
        """Be patient as long as a request is under way, and no longer. Between two, uvicorn's own limit holds."""
        begun = not idle or bool(self.conn.trailing_data[0])
        waits = begun and self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()
        if waits and self._impatience is None:
            self._impatience = self.loop.call_later(REQUEST_PATIENCE, self.transport.abort)
        elif not waits and self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None


class Listener:
    """An application on any number of sockets."""

    def __init__(self, application: ASGIApp) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # nonsense that somebody sends is no news
        self._config = Config(
            application,
            http=BoundedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        self._config.load()

    async def open(self, listening: socket.socket) -> asyncio.Server:
        """Answer on this socket, which listens."""
        loop = asyncio.get_running_loop()
        state = ServerState()  # each socket counts its own: a crowd on the port keeps nobody from the control socket
        create: Callable[[], asyncio.Protocol] = lambda: BoundedProtocol(self._config, state, {}, loop)  # noqa: E731 - it has a type
        if listening.family == socket.AF_UNIX:
            return await loop.create_unix_server(create, sock=listening)
        return await loop.create_server(create, sock=listening)


def listen_on_address(host: str, port: int) -> socket.socket:
    """A TCP socket that listens.

    Raises:
        OSError: the address is taken, or not ours.
    """
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(MOST_CONNECTIONS)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def listen_on_path(path: str) -> socket.socket:
    """A unix socket that none but we ourselves may use, in place of what an earlier agent has left.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # never open to others, not even for a moment
    try:
        listening.bind(path)
        listening.listen(16)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _peer(transport: asyncio.Transport) -> Peer:
    end: socket.socket = transport.get_extra_info("socket")
    if end.family == socket.AF_UNIX:
        pid, uid, _ = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return Peer(Transport.SOCKET, words=f"uid {uid} pid {pid}")
    name = transport.get_extra_info("peername")
    return Peer(Transport.TCP, address=str(name[0]).partition("%")[0] if name else "")
