"""The client against bytes: answers that are slow, cut, or no HTTP, from a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from firstlight.providers.runpod import retry
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError

POD = b'{"id": "p1", "status": "RUNNING"}'


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


class Server:
    """Each connection gets the next answer, after a whole request has come; then it is closed."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request or not self._complete(request):
                request += await stream.receive()
            self.requests.append(request)
            with contextlib.suppress(anyio.BrokenResourceError):
                await stream.send(self.answers[min(len(self.requests) - 1, len(self.answers) - 1)])

    @staticmethod
    def _complete(request: bytes) -> bool:
        head, _, body = request.partition(b"\r\n\r\n")
        lengths = [int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return len(body) >= sum(lengths)

    def asked(self, told: Callable[[Client], Awaitable[Any]]) -> Any:
        async def ask() -> Any:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with listener, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, self.serve)
                async with Client(Access("rpa_KEY", f"http://127.0.0.1:{port}/v2")) as client:
                    try:
                        came = await told(client)
                    except CloudError as error:
                        came = error
                tasks.cancel_scope.cancel()
            return came

        return anyio.run(ask)


CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 201 Cre",
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n" + POD,
        CHUNKED + b'5\r\n{"id"\r\n',
        CHUNKED + b"zz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 201 Created\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n\xff\xfe{}\n",
        whole(b"<html>logged out</html>", b"201 Created"),
        whole(b"[" * 100_000, b"201 Created"),
    ],
)
def test_an_answer_that_cannot_be_read_leaves_open_whether_it_was_done(answer: bytes) -> None:
    server = Server(answer)

    error = server.asked(lambda client: client.create_pod({"name": "new"}))

    assert str(error).startswith("cannot create a pod: ")
    assert not str(error).endswith(": ")
    assert error.done
    assert error.exit_code == 74
    assert len(server.requests) == 1


def test_what_only_looks_is_asked_again_after_a_cut() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + POD, whole(POD))

    assert server.asked(lambda client: client.pod("p1")).id == "p1"
    assert len(server.requests) == 2
    assert server.requests[1].startswith(b"GET /v2/pods/p1 HTTP/1.1\r\n")


def test_where_nobody_listens_surely_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "TRIES", 1)

    async def ask() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with Client(Access("rpa_KEY", f"http://127.0.0.1:{port}/v2")) as client:
            with pytest.raises(CloudError, match=r"^cannot create a pod: \S") as caught:
                await client.create_pod({})
        assert not caught.value.done

    anyio.run(ask)
