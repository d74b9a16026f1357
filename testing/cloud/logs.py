"""A pod's log as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import StreamingResponse

from cloud.pods import Pod
from cloud.world import World

# How often new lines are looked for, in seconds.
_PERIOD = 0.05


def events(world: World, pod: Pod, source: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Id and data of each line so far. No two ids are the same: a clock that stands still is moved on by a microsecond."""
    found = []
    last = float("-inf")
    for number, (at, kind, line) in enumerate(sorted(pod.logs, key=lambda entry: entry[0])):
        last = max(at, last + 1e-6)
        stamp = world.stamp(last)
        name = f"{stamp}/{number:012d}" if world.habits.log_ids == "example" else stamp
        if source in (None, kind):
            found.append((name, {"source": kind, "line": line, "ts": stamp}))
    return found


def stream(world: World, name: str, request: Request, check: Callable[[int, str | None, bytes], None], *, keeps: bool) -> StreamingResponse:
    """The lines that were asked for, and those that come, until the pod is gone or the asker is."""
    pod = world.pod(name)
    source = request.query_params.get("source")
    last = request.headers.get("last-event-id") or request.query_params.get("since")
    tail = int(request.query_params.get("tail", 100))
    check(200, "text/event-stream", b"")

    async def lines() -> AsyncIterator[str]:
        told = events(world, pod, source)
        after = last or (told[-tail - 1][0] if tail < len(told) else "")
        if tail == 0 and not last:
            after = told[-1][0] if told else ""
        yield ": here\n\n"
        while True:
            world.settle()
            new = [(key, data) for key, data in events(world, pod, source) if key > after]
            for key, data in new:
                after = key
                yield f"id: {key}\ndata: {json.dumps(data)}\n\n"
            if world.pods.get(pod.id) is not pod or not keeps:
                return
            await anyio.sleep(_PERIOD)

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
