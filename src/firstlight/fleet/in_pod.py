"""What a pod says of itself: the status.json of the firstlight in it, through the proxy, for its token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

import firstlight
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.shapes import Pod

# Where a configured pod has its page, and the variable that holds the token which opens it.
PORT = 8421
TOKEN = "FIRSTLIGHT_TOKEN"  # noqa: S105 - the name of it

# Seconds. The proxy itself gives up after a hundred.
_TIMEOUT = 15.0


@dataclass(frozen=True, kw_only=True)
class Inside:
    """How the boot in a pod stands.

    Attributes:
        ready: the app can be used.
        runs: the app runs, ready or not: it may write to what is mounted.
        holds: why the container only stays up; None where it does not.
        fault: the root cause; None where there is none.
        sentence: the evidence for it, and what it is about.
        host_fault: only another host can help, or the pod asks to be moved.
        asks_relocate: it asks for that in so many words.
        moves: it is moving itself, with its own key.
        gpus: UUIDs that it knows of, proven or not.
    """

    ready: bool
    runs: bool
    holds: str | None = None
    fault: str | None = None
    sentence: str = ""
    host_fault: bool = False
    asks_relocate: bool = False
    moves: bool = False
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mute:
    """It says nothing, and why."""

    words: str


def read(told: Mapping[str, Any]) -> Inside:
    """Out of status.json. Pure; what is missing is taken as not so."""
    cause = told.get("cause")
    cause = cause if isinstance(cause, dict) else {}
    holds = told.get("hold")
    asks = told.get("asks") == "relocate"
    return Inside(
        ready=told.get("ready") is True,
        runs=isinstance(told.get("app_pid"), int),
        holds=str(holds) if holds else None,
        fault=str(cause["fault"]) if cause.get("fault") else None,
        sentence=str(cause.get("sentence") or ""),
        host_fault=asks or cause.get("host_fault") is True,
        asks_relocate=asks,
        moves=told.get("moving") is True,
        gpus=tuple(str(gpu["uuid"]) for gpu in told.get("gpus") or () if isinstance(gpu, dict) and gpu.get("uuid")),
    )


async def look(http: httpx2.AsyncClient, access: Access, pod: Pod) -> Inside | Mute:
    """Ask it once. Nobody's fault is concluded from an answer that does not come: the proxy and the agent have bad moments of their own."""
    token = pod.env.get(TOKEN)
    if not token:
        return Mute("it has no token of ours: firstlight was not configured in it")
    url = f"{access.address(pod.id, PORT).rstrip('/')}/status.json"
    try:
        response = await http.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT)
    except httpx2.HTTPError as error:
        return Mute(f"it cannot be reached: {str(error) or type(error).__name__}")
    if response.status_code != 200:
        return Mute(f"its page answers {response.status_code}")
    try:
        told = response.json()
    except ValueError:
        told = None
    return read(told) if isinstance(told, dict) else Mute("its page answers something else")


def asker(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """What asks them; close it, or use it in `async with`."""
    return httpx2.AsyncClient(headers={"User-Agent": f"firstlight/{firstlight.__version__}"}, transport=transport)
