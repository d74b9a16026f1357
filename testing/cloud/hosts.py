"""The machines that pods run on. The API never names them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

# What can be wrong with a host besides the faults that an in-pod report names.
NEVER_STARTS = "never-starts"  # its pods stay in STARTING
REFUSES = "start-refused"  # it starts no pod again that was stopped
LOOPS = "restart-loop"  # the container ends at once and is started again, endlessly
DARK = "dark"  # the container runs, and nothing in it answers
OF_THE_CLOUD = frozenset((NEVER_STARTS, REFUSES, LOOPS, DARK))


@dataclass(kw_only=True)
class Host:
    """A machine with GPUs of one type."""

    name: str
    data_center: str = "EU-RO-1"
    gpu: str = "NVIDIA GeForce RTX 4090"
    cloud: str = "SECURE"
    count: int = 1
    uuids: tuple[str, ...] = ()
    driver: str = "570.195.03"
    cuda: str | None = "12.8"
    address: str = ""
    fault: str = ""  # one of firstlight's, or of OF_THE_CLOUD; empty for a good host
    taken: int = 0  # GPUs that others rent
    lives: int | None = None  # starts of containers until the fault is over; None for never
    simulated: bool = True  # or real pods have the GPU of the machine that this runs on
    hidden: tuple[str, ...] = ()  # what real pods on it lack of that machine's /dev, as patterns
    held: dict[str, str] = field(default_factory=dict)  # by which pod each GPU is held

    def __post_init__(self) -> None:
        """GPUs and an address of its own, the same ones at each run."""
        if not self.uuids:
            self.uuids = tuple(f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{self.name}/{place}')}" for place in range(self.count))
        self.count = len(self.uuids)
        if not self.address:
            number = uuid.uuid5(uuid.NAMESPACE_DNS, self.name).bytes
            self.address = f"203.0.113.{number[0]}"  # documents' own network: nobody is there

    @property
    def free(self) -> int:
        """GPUs that a pod could have."""
        return max(0, self.count - len(self.held) - self.taken)

    def hold(self, pod: str, count: int) -> tuple[str, ...]:
        """Give a pod that many GPUs."""
        found = [gpu for gpu in self.uuids if gpu not in self.held][:count]
        assert len(found) == count
        self.held.update(dict.fromkeys(found, pod))
        return tuple(found)

    def release(self, pod: str) -> int:
        """Take a pod's GPUs back: how many."""
        mine = [gpu for gpu, holder in self.held.items() if holder == pod]
        for gpu in mine:
            del self.held[gpu]
        return len(mine)


def at_least(version: str | None, floor: str) -> bool:
    """Whether a CUDA version is no lower than a floor, compared by number: 12.11 is above 12.2."""
    if version is None:
        return False
    return tuple(map(int, version.split("."))) >= tuple(map(int, floor.split(".")))
