"""The cloud on a socket."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloud.service import CutError, Service
from cloud.world import World

# How often a world with real pods is looked at, in seconds.
_PERIOD = 0.05


class Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, and a connection that can be cut."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        answer = self.app

        async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
            try:
                await answer(scope, receive, send)
            except CutError:
                self.transport.abort()
                while (await receive())["type"] != "http.disconnect":
                    pass

        self.app = app


def server(service: Service, port: int = 0, host: str = "127.0.0.1") -> uvicorn.Server:
    """A server that does not listen yet."""
    return uvicorn.Server(
        uvicorn.Config(
            service,
            host=host,
            port=port,
            http=Protocol,
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )


def port(running: uvicorn.Server) -> int:
    """Where it listens."""
    return int(running.servers[0].sockets[0].getsockname()[1])


def addresses(number: int) -> dict[str, str]:
    """Where to find what."""
    base = f"http://127.0.0.1:{number}"
    return {"api": f"{base}/v2", "proxy": f"{base}/proxy/{{pod}}/{{port}}", "control": f"{base}/_cloud"}


def wait(running: uvicorn.Server) -> None:
    """Until it listens; it says so in no way that could be waited for, so it is asked again and again."""
    while not running.started:
        time.sleep(0.005)


async def serve(running: uvicorn.Server) -> None:
    """Serve until it should exit. Real pods must come up although nobody looks."""
    application = running.config.app
    async with anyio.create_task_group() as tasks:
        if application.world.runner:
            tasks.start_soon(_keep_looking, application.world)
        await running.serve()
        tasks.cancel_scope.cancel()


async def _keep_looking(world: World) -> None:
    while True:
        await anyio.to_thread.run_sync(world.settle)
        await anyio.sleep(_PERIOD)
