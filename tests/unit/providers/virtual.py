"""A service out of a function, and an event loop whose clock runs only while everybody waits: an hour takes no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2

from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client

KEY = "rpa_SECRETSECRETSECRET"


class Loop(asyncio.SelectorEventLoop):
    """Where nothing is ready, it is the time of the next thing to do."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__()

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._virtual = max(self._virtual, self._scheduled[0].when())
        super()._run_once()


def run(told: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    return anyio.run(told, *arguments, backend_options={"loop_factory": Loop})


@dataclass
class Service:
    """Answers by `answer(request, number)`: a response, an error to raise, or a plain value that is told as JSON."""

    answer: Callable[[httpx2.Request, int], Any]
    took: float = 0.1  # seconds
    requests: list[httpx2.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        number = len(self.requests)
        self.requests.append(request)
        self.times.append(anyio.current_time())
        await anyio.sleep(self.took)
        told = self.answer(request, number)
        if isinstance(told, Exception):
            raise told
        return told if isinstance(told, httpx2.Response) else httpx2.Response(200, json=told)

    def client(self) -> Client:
        return Client(Access(KEY, "https://api.example/v2"), httpx2.MockTransport(self.handle))

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests if request.content]


def script(*answers: Any) -> Service:
    """One answer after the other; the last one again and again."""
    return Service(lambda _, number: answers[min(number, len(answers) - 1)])


def call(service: Service, told: Callable[[Client], Awaitable[Any]]) -> Any:
    """What this call of a client gives."""

    async def asked() -> Any:
        async with service.client() as client:
            return await told(client)

    return run(asked)


def problem(status: int, detail: str = "it does not please", **more: Any) -> httpx2.Response:
    """The service's own shape of error."""
    told = {"title": "Title", "status": status, "detail": detail, **more}
    return httpx2.Response(status, json=told, headers={"content-type": "application/problem+json"})
