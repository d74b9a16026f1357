"""A verb that may be asked to stop in the middle, and ends as it has to."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import anyio

from firstlight import errors


async def until_stopped(what: Callable[[], Awaitable[int]]) -> int:
    """Await it. The first signal that asks us to stop cancels it; what it shields it still does, and no further signal hastens that.

    Raises:
        Stopped: it was cancelled.
    """
    code: int = errors.ExitCode.OK
    failed: Exception | None = None
    stopped: list[int] = []
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as group:

            async def listen(scope: anyio.CancelScope) -> None:
                async for number in signals:
                    stopped.append(number)
                    scope.cancel()

            with anyio.CancelScope() as scope:
                group.start_soon(listen, scope)
                try:
                    code = await what()
                except Exception as error:  # noqa: BLE001 - a task group would wrap it; it goes on below
                    failed = error
            group.cancel_scope.cancel()
    if failed is not None:
        raise failed
    if scope.cancelled_caught:
        raise errors.Stopped(stopped[0])
    return code
