"""A service out of a function, asked by a clock that takes no time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
from cloud import virtual

from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client

KEY = "rpa_SECRETSECRETSECRET"


@dataclass
class Service:
    """Answers by `answer(request, number)`: a response, an error to raise, or a plain value that is told as JSON."""

    answer: Callable[[httpx2.Request, int], Any]
    took: float = 0.1  # seconds
    requests: list[httpx2.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # since the first of them
    began: float | None = None

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        number = len(self.requests)
        self.requests.append(request)
        if self.began is None:
            self.began = anyio.current_time()
        self.times.append(anyio.current_time() - self.began)
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

    return virtual.run(asked)


def problem(status: int, detail: str = "it does not please", **more: Any) -> httpx2.Response:
    """The service's own shape of error."""
    told = {"title": "Title", "status": status, "detail": detail, **more}
    return httpx2.Response(status, json=told, headers={"content-type": "application/problem+json"})
