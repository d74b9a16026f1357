"""What an Xid means: the error numbers that NVIDIA's kernel driver writes into the kernel's log. Pure.

From NVIDIA's "Analyzing Xid Errors with the Xid Catalog", whose "immediate action" for Ampere and newer decides here.
"""

from __future__ import annotations

from enum import Enum

from firstlight.faults import reading
from firstlight.probe.facts import Facts, Unknown, Xid


class Weight(Enum):
    """How much an Xid matters to an app on that GPU."""

    FATAL = "fatal"  # the GPU computes no more until it is reset, or its host rebooted: RESET_GPU, RESTART_BM, RESTART_VM
    NOTED = "noted"  # a process or a channel of it has failed (RESTART_APP), or other signs tell how bad it is
    IGNORED = "ignored"  # IGNORE


_RESET_GPU = frozenset({46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158})
_RESTART_HOST = frozenset({79, 151})
# Too young to have an action in the catalogue; by their names: PCIe fatal timeout, WPR, microcontroller halt.
_FATAL_BY_NAME = frozenset({167, 168, 169})
# 45 is the clean-up after another one, which counts; 154 says that the recovery action has changed, which NVML is asked for.
_IGNORED = frozenset({37, 38, 43, 44, 45, 63, 66, 67, 92, 93, 106, 107, 121, 137, 141, 152, 153, 154, 157, 160, 161})


def weight(number: int) -> Weight:
    """How much an Xid of this number matters. One that is unknown is noted."""
    if number in _RESET_GPU | _RESTART_HOST | _FATAL_BY_NAME:
        return Weight.FATAL
    return Weight.IGNORED if number in _IGNORED else Weight.NOTED


def needs_host(number: int) -> bool:
    """Whether a reset of the GPU does not help, and only a reboot of its host does."""
    return number in _RESTART_HOST


def ours(facts: Facts) -> tuple[Xid, ...] | Unknown:
    """The Xids of the GPUs that this container works with, oldest first: the kernel's log is the whole host's."""
    if isinstance(facts.xids, Unknown):
        return facts.xids
    places = _places(facts)
    return tuple(xid for xid in facts.xids if _place(xid.bus_id) in places)


def _places(facts: Facts) -> set[str]:
    """Where our GPUs sit: those whose nodes CUDA worked through; as NVML tells where the kernel driver does not."""
    worked = reading.worked(facts)
    minors = {int(path[len("/dev/nvidia") :]) for path in worked.nodes if reading.is_gpu_path(path)} if worked else set()
    listed = reading.known(facts.driver.gpus) or ()
    found = {gpu.bus_id for gpu in listed if reading.known(gpu.minor) in minors}
    found |= {reading.known(gpu.bus_id) or "" for gpu in reading.nvml_gpus(facts)}
    return {_place(bus_id) for bus_id in found if bus_id}


def _place(bus_id: str) -> str:
    """Domain, bus and device in one form: "0000:8d:00" of "00000000:8D:00.0"."""
    return bus_id.lower().partition(".")[0][-10:]
