"""Pods watched from outside: what is told of them from look to look, and when one is to be moved. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from firstlight.fleet.inside import Report, Silence
from firstlight.providers.runpod import shapes

# Looks in a row that must name a fault of the host. One may fall into a moment that is over at the next.
LOOKS = 2


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How a pod stood at a look.

    Attributes:
        status: the service's word; None once the service knows it no more.
        inside: the pod's own word; None where it was not asked, because it does not run.
        was_ready: it was ready at some look since it last started to be watched or was lost.
        host_looks: looks in a row, up to this one, in which the pod's own word was a fault of its host, or that it has no GPU.
    """

    pod: str
    name: str
    status: str | None
    inside: Report | Silence | None
    was_ready: bool = False
    host_looks: int = 0


@dataclass(frozen=True, kw_only=True)
class Told:
    """One event."""

    event: str  # came-up unready unreachable fault host-fault zero-gpu asks-relocate stopped lost recovered
    pod: str
    words: str


def gone(before: Seen) -> Seen:
    """The look at which a pod is in no list any more."""
    return replace(before, status=None, inside=None, host_looks=0)


def look(before: Seen | None, pod: shapes.Pod, inside: Report | Silence | None) -> Seen:
    """A look, after the one before it. An answer that does not come neither adds to a suspicion nor clears it: the next one decides."""
    counted = before.host_looks if before is not None else 0
    if isinstance(inside, Report):
        counted = counted + 1 if inside.host_fault or (inside.zero_gpu and pod.gpu is not None) else 0
    elif not isinstance(inside, Silence):
        counted = 0
    return Seen(
        pod=pod.id,
        name=pod.name,
        status=pod.status,
        inside=inside,
        was_ready=_ready(inside) or (before is not None and before.was_ready),
        host_looks=min(counted, LOOKS),
    )


def to_move(seen: Seen) -> bool:
    """Whether the policy may move it now. Never for a pod that cannot be reached, nor for one that moves itself."""
    return isinstance(seen.inside, Report) and seen.host_looks >= LOOKS and not seen.inside.moving


def tell(before: Seen | None, now: Seen) -> tuple[Told, ...]:
    """What is new at a look."""
    events: list[tuple[str, str]] = []
    was, inside = (before.inside if before is not None else None), now.inside
    if now.status in (None, shapes.TERMINATED):
        if before is None or before.status not in (None, shapes.TERMINATED):
            events.append(("lost", "RunPod knows it no more"))
    elif now.status != shapes.RUNNING:
        if now.status in (shapes.EXITED, shapes.ERROR) and (before is None or before.status != now.status):
            events.append(("stopped", f"it is {now.status}"))
    elif isinstance(inside, Silence):
        if not isinstance(was, Silence):
            events.append(("unreachable", inside.words))
    elif inside is not None:
        events += _of_inside(before, was, inside, now)
    return tuple(Told(event=event, pod=now.pod, words=words) for event, words in events)


def _of_inside(before: Seen | None, was: Report | Silence | None, inside: Report, now: Seen) -> list[tuple[str, str]]:
    events = []
    known = was if isinstance(was, Report) else None
    cause = inside.cause
    if cause is not None and (known is None or known.cause is None or known.cause.fault != cause.fault):
        events.append(("fault", f"{cause.fault}: {cause.sentence}"))
    if now.host_looks >= LOOKS and (before is None or before.host_looks < LOOKS):
        if inside.zero_gpu:
            events.append(
                ("zero-gpu", f"it was started without its GPU, and has none in {LOOKS} looks in a row: its host has given it away")
            )
        else:
            events.append(("host-fault", f"{cause.fault if cause else 'its report'} is a fault of its host, in {LOOKS} looks in a row"))
    if inside.asks == "relocate" and (known is None or known.asks != "relocate"):
        events.append(("asks-relocate", inside.hold or "it asks to be moved to another host"))
    if inside.ready and not _ready(was):
        again = before is not None and before.was_ready
        events.append(("recovered" if again else "came-up", "it is ready"))
    elif not inside.ready and _ready(was):
        events.append(("unready", inside.words))
    return events


def _ready(inside: Report | Silence | None) -> bool:
    return isinstance(inside, Report) and inside.ready
