"""What a pod tells of itself: the status of the firstlight in it, asked over the provider's proxy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

import firstlight
from firstlight import settings
from firstlight.fleet import start
from firstlight.providers import network
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.shapes import Pod

# Seconds. The proxy itself gives up after a hundred; the agent answers within a tenth.
_TIMEOUT = httpx2.Timeout(20.0, connect=10.0)

# What a report may be as long as, in bytes: those of a sick machine with many GPUs have some hundred thousand.
_LONGEST = 8 << 20

# Stages in which it is still open whether CUDA comes up.
COMING_UP = frozenset("start probe diagnose treat wait prove".split())

# Stages after which no app comes without somebody's order.
OVER = frozenset("hold end".split())


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The root cause that a report names."""

    fault: str
    sentence: str
    actor: str  # container, image or provider
    persistence: str  # transient, bounded or permanent
    host_fault: bool  # only another host can help


@dataclass(frozen=True, kw_only=True)
class Report:
    """One status of a boot."""

    boot: str
    stage: str
    condition: str | None
    ready: bool
    headline: str
    detail: str
    seconds: float  # from the start of the boot to its last event
    ready_after: float | None
    gpus: tuple[str, ...]  # UUIDs of those proven
    usable: int | None
    expected: int | None
    driver: str | None
    cause: Cause | None
    hold: str | None
    asks: str | None
    host_keys: tuple[str, ...]  # SHA256:… of its sshd
    granted: tuple[str, ...] = ()  # UUIDs of all that it has, proven or not
    moving: bool = False  # it is ordering another pod in its place, with its own key

    @property
    def runs(self) -> bool:
        """Its app runs, or is about to: it may write to what is mounted."""
        return self.hold is None and self.stage not in COMING_UP and self.stage not in OVER

    @property
    def host_fault(self) -> bool:
        """Another host is wanted: the pod asks for one, or its fault is the host's and waiting has not cured it, or never will."""
        if self.asks == "relocate":
            return True
        if self.cause is None or not self.cause.host_fault:
            return False
        return self.hold is not None or self.cause.persistence == "permanent"

    @property
    def zero_gpu(self) -> bool:
        """Nobody has given it a GPU."""
        return self.cause is not None and self.cause.fault == "gpu-not-granted"

    @property
    def words(self) -> str:
        """How it stands, in a line."""
        return f"{self.headline}: {self.detail}" if self.detail else self.headline


@dataclass(frozen=True)
class Silence:
    """There was no report, and why; `final` where waiting will bring none."""

    words: str
    final: bool = False


def configured(pod: Pod) -> str:
    """What keeps this pod from telling anything; empty where nothing does. Pure."""
    if settings.TOKEN not in pod.env:
        return "firstlight is not configured in it"
    if f"{start.PORT}/http" not in pod.ports:
        return f"it does not publish {start.PORT}/http, where firstlight tells how it stands"
    return ""


def client(transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """What asks pods, over the network unless told otherwise."""
    return network.client(transport, headers={"User-Agent": f"firstlight/{firstlight.__version__}"}, timeout=_TIMEOUT)


async def ask(http: httpx2.AsyncClient, access: Access, pod: Pod) -> Report | Silence:
    """The pod's report now."""
    why = configured(pod)
    if why:
        return Silence(why, final=True)
    headers = {"Authorization": f"Bearer {pod.env[settings.TOKEN]}", "Accept": "application/json"}
    try:
        async with http.stream("GET", f"{access.address(pod.id, start.PORT)}/status.json", headers=headers) as response:
            content = b""
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _LONGEST:
                    return Silence("its report is longer than any can be")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Silence(f"the proxy was not reached: {str(error) or type(error).__name__}")
    if response.status_code != 200:
        return _silence(response.status_code)
    return read(content)


def _silence(status: int) -> Silence:
    """What an answer without a report means."""
    if status in (401, 403):
        return Silence("it does not take the token of its own FIRSTLIGHT_TOKEN: it was not restarted since it was configured", final=True)
    if status == 421:
        return Silence("its firstlight does not know the name of the proxy: set --serve-host", final=True)
    reason = {404: "the proxy does not know this port yet", 502: "nothing answers at this port yet", 524: "the answer took too long"}
    return Silence(reason.get(status, f"HTTP {status}"))


def read(content: bytes) -> Report | Silence:
    """A report out of its JSON. Pure. Fields that are missing are no error: the pod may run another version."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return Silence("what answers at this port is not firstlight")
    if not isinstance(told, dict) or not isinstance(told.get("stage"), str):
        return Silence("what answers at this port is not firstlight")
    if "boot" not in told:
        return Silence("its boot has not begun" if told["stage"] == "start" else "it tells us no more than it tells strangers")
    return Report(
        boot=str(told["boot"]),
        stage=told["stage"],
        condition=_text(told.get("condition")),
        ready=told.get("ready") is True,
        headline=_text(told.get("headline")) or told["stage"],
        detail=_text(told.get("detail")) or "",
        seconds=_number(told.get("seconds")) or 0.0,
        ready_after=_number(told.get("ready_after")),
        gpus=tuple(str(gpu["uuid"]) for gpu in _tables(told.get("gpus")) if gpu.get("proven") is True and gpu.get("uuid")),
        usable=_count(told.get("usable")),
        expected=_count(told.get("expected")),
        driver=_text(told.get("driver")),
        cause=_cause(told.get("cause")),
        hold=_text(told.get("hold")),
        asks=_text(told.get("asks")),
        host_keys=_texts(told.get("ssh_host_keys")),
        granted=tuple(str(gpu["uuid"]) for gpu in _tables(told.get("gpus")) if gpu.get("uuid")),
        moving=told.get("moving") is True,
    )


def _cause(told: object) -> Cause | None:
    if not isinstance(told, dict) or not _text(told.get("fault")):
        return None
    return Cause(
        fault=str(told["fault"]),
        sentence=_text(told.get("sentence")) or "",
        actor=_text(told.get("actor")) or "",
        persistence=_text(told.get("persistence")) or "",
        host_fault=told.get("host_fault") is True,
    )


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of JSON may have thousands of digits
        return None
    return number if math.isfinite(number) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
