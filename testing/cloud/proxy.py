"""The HTTP ports of pods, as RunPod's proxy has them: 502 until something listens."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cloud import inside, pods
from cloud.world import World


async def answer(world: World, request: Request, path: str) -> Response:
    """What a request to /proxy/POD/PORT/… gets."""
    _, _, name, port, rest = [*path.split("/", 4), "", ""][:5]
    world.settle()
    pod = world.pods.get(name)
    if pod is None or pod.status != pods.RUNNING or pod.container is None or not port.isdecimal():
        return _not_there()
    if int(port) not in pods.numbered(pod.container.ports, "http"):
        return _not_there()
    return inside.answer(world, pod, int(port), "/" + rest, request.headers) or _not_there()


def _not_there() -> Response:
    return PlainTextResponse("502 Bad Gateway\n", 502)
