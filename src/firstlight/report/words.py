"""Words for what the diagnosis says in enums."""

from __future__ import annotations

from firstlight.faults.fault import Actor, Persistence
from firstlight.probe.facts import Unknown

ACTOR = {
    Actor.CONTAINER: "whoever starts this container or the app in it",
    Actor.IMAGE: "whoever builds the image or sets up the container",
    Actor.PROVIDER: "whoever runs this host",
}
TIME = {
    Persistence.TRANSIENT: "waiting cures it",
    Persistence.BOUNDED: "waiting may cure it",
    Persistence.PERMANENT: "waiting never cures it",
}


def count(number: int, noun: str) -> str:
    """Such as: 1 GPU, 2 GPUs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def usable(proven: int, expected: int | Unknown) -> str:
    """Such as: proven on 3 of 4 GPUs."""
    return f"proven on {count(proven, 'GPU')}" if isinstance(expected, Unknown) else f"proven on {proven} of {count(expected, 'GPU')}"


def duration(seconds: float) -> str:
    """Such as: 0.41 s, 31 s, 2 min 5 s."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if round(seconds) < 120:
        return f"{seconds:.0f} s"
    return f"{round(seconds) // 60} min {round(seconds) % 60} s"


def size(number: int) -> str:
    """Such as: 79.6 GiB."""
    return f"{number / (1 << 30):.1f} GiB" if number >= 1 << 30 else f"{number / (1 << 20):.1f} MiB"
