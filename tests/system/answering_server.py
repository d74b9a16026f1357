"""A server for checks: what it answers stands in the path that it is asked for. In the test's own process, so that a test sees what came.

It speaks HTTP by hand, because most of what it does no library would: answers that never end, that come in drops, or not at all.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator

MEBIBYTE = 1 << 20


class AnsweringServer:
    """Listens until `close`.

    Attributes:
        port: where.
        requests: the requests that came, each with its headers.
        connections: those that came, open or not.
        overlaps: how often a connection came while the client held another one open.
        answer: the answer to /as-told, a status and a body; a test may change it.
        script: the statuses of the next answers to /as-told, before `answer`.
        freed: set at the end, for whoever hangs.
    """

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, certificate: str = "") -> None:
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(("::1" if family is socket.AF_INET6 else "127.0.0.1", 0))
        self.listener.listen(64)
        self.port: int = self.listener.getsockname()[1]
        self.requests: list[str] = []
        self.overlaps = 0
        self.answer = (200, "")
        self.script: list[int] = []
        self.freed = threading.Event()
        self.connections: list[socket.socket] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._tls:
            self._tls.load_cert_chain(certificate)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all that is under way."""
        self.freed.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(request.startswith(f"GET {path} ") for request in self.requests)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.overlaps += any(_is_open(other) for other in self.connections)
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                    self._answer(encrypted)
            else:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece:
                return
            request += piece
        self.requests.append(request.decode())
        path = urllib.parse.urlsplit(request.split()[1].decode())
        for piece in self._pieces(path.path.strip("/"), urllib.parse.unquote(path.query)):
            connection.sendall(piece)

    def _pieces(self, path: str, query: str) -> Iterator[bytes]:  # noqa: C901, PLR0912 - a table, with a line or two for each behaviour
        status, words = self.answer
        match path.split("/"):
            case ["json"]:
                yield _response(200, query)
            case ["status", code]:
                yield _response(int(code), "")
            case ["as-told"]:
                yield _response(self.script.pop(0) if self.script else status, words)
            case ["redirect"]:
                yield b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
            case ["chunked"]:
                yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                for letter in query.encode():
                    yield b"1\r\n%c\r\n" % letter
                yield b"0\r\n\r\n"
                self.freed.wait()  # the answer is whole, and the connection stays open all the same
            case ["hang"]:
                self.freed.wait()
            case ["close"]:
                return
            case ["garbage"]:
                yield b"SSH-2.0-OpenSSH_9.2\r\n"
            case ["long"]:
                yield b"HTTP/1.1 200 OK\r\n\r\n"
                yield from (b" " * MEBIBYTE for _ in range(64))
            case ["endless-headers"]:
                yield b"HTTP/1.1 200 OK\r\n"
                while True:
                    yield b"X: " + b"x" * 1000 + b"\r\n"
            case ["slow-headers"]:
                yield from self._drops(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000)
            case ["drip"]:
                yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
                yield from self._drops(b" " * 1_000_000)
            case _:
                yield _response(404, "")

    def _drops(self, text: bytes) -> Iterator[bytes]:
        for number in range(len(text)):
            if self.freed.wait(0.02):
                return
            yield text[number : number + 1]


def _is_open(connection: socket.socket) -> bool:
    """Whether the client has not closed it yet. Over loopback the kernel knows that as soon as it is done."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _response(status: int, body: str) -> bytes:
    """An answer with a length, as most servers give it."""
    content = body.encode()
    return f"HTTP/1.1 {status} Words\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def as_json(value: object) -> str:
    """A path that is answered with this."""
    return "/json?" + urllib.parse.quote(json.dumps(value))
