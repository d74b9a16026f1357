"""The HTTP ports of pods, as RunPod's proxy has them: 502 until something listens."""

from __future__ import annotations

import httpx2
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cloud import inside, pods
from cloud.world import World

# As long as the real one waits for a pod, in seconds.
_PATIENCE = 100.0


async def answer(world: World, request: Request, path: str) -> Response:
    """What a request to /proxy/POD/PORT/… gets."""
    _, _, name, port, rest = [*path.split("/", 4), "", ""][:5]
    world.settle()
    pod = world.pods.get(name)
    if pod is None or pod.status != pods.RUNNING or pod.container is None or not port.isdecimal():
        return _not_there()
    if int(port) not in pods.numbered(pod.container.ports, "http"):
        return _not_there()
    if world.runner:
        return await _forward(world.runner.address(pod, int(port)), pod.id, request, "/" + rest)
    return inside.answer(world, pod, int(port), "/" + rest, request.headers) or _not_there()


async def _forward(to: int | None, name: str, request: Request, path: str) -> Response:
    """As RunPod's proxy asks the pod itself: under its public name, with a mark of whom it asks for."""
    if to is None:
        return _not_there()
    headers = {key: value for key, value in request.headers.items() if key not in ("host", "connection")}
    headers |= {"Host": f"{name}-{to}.proxy.runpod.net", "X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    query = f"?{request.url.query}" if request.url.query else ""
    try:
        async with httpx2.AsyncClient(timeout=_PATIENCE) as client:
            response = await client.request(
                request.method, f"http://127.0.0.1:{to}{path}{query}", headers=headers, content=await request.body()
            )
    except httpx2.TransportError:
        return _not_there()
    kept = {
        key: value
        for key, value in response.headers.items()
        if key not in ("content-length", "content-encoding", "transfer-encoding", "connection")
    }
    return Response(response.content, response.status_code, kept)


def _not_there() -> Response:
    return PlainTextResponse("502 Bad Gateway\n", 502)
