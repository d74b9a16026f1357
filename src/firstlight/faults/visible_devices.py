"""What a value of CUDA_VISIBLE_DEVICES shows and hides, read as CUDA reads it. Pure.

CUDA goes through the entries from the left. One that names no GPU of this container hides itself and all after it; one
that is named twice hides everything. Indexes count the GPUs of the container from 0, whatever their nodes are called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight.faults import reading
from firstlight.probe.facts import Cause, Facts, Unknown

NAME = "CUDA_VISIBLE_DEVICES"

_INDEX = re.compile(r"[+-]?[0-9]{1,9}\Z")
_BARE_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-")


@dataclass(frozen=True)
class Choice:
    """What a value does: how many GPUs it shows, and what is wrong with it (None: nothing)."""

    value: str
    shown: int
    wrong: str | None


def current(facts: Facts) -> str | None:
    """The value that CUDA was asked with, else the environment's; None when it is not set."""
    cuda = reading.asked_cuda(facts)
    if cuda is not None and isinstance(cuda.visible_devices, str):
        return cuda.visible_devices
    if cuda is not None and reading.absent(cuda.visible_devices):
        return None
    return facts.environment.variables.get(NAME)


def choice(facts: Facts) -> Choice | Unknown | None:
    """What the current value does to this container's GPUs; None when it is not set."""
    value = current(facts)
    if value is None:
        return None
    entries = [entry.strip() for entry in value.split(",")]
    while len(entries) > 1 and not entries[-1]:
        entries.pop()  # a comma at the end ends the list, no more
    cuda = reading.asked_cuda(facts)
    if cuda is not None and reading.known(cuda.init) == 0 and reading.known(cuda.count) == len(entries):
        return Choice(value, len(entries), None)  # whatever they look like: CUDA took every one
    return _judge(value, entries, _Gpus.of(facts))


@dataclass(frozen=True)
class _Gpus:
    """The GPUs that entries can name."""

    count: int | None
    uuids: tuple[str, ...]
    complete: bool  # every UUID is among them

    @staticmethod
    def of(facts: Facts) -> _Gpus:
        seen = [gpu for gpu in reading.nvml_gpus(facts) if gpu.error == 0]
        count = len(seen) or len(reading.right_gpu_nodes(facts)) or None
        cuda = reading.asked_cuda(facts)
        groups: list[list[str | None]] = [
            [reading.known(gpu.uuid) for gpu in seen],
            [reading.known(gpu.uuid) for gpu in reading.known(facts.driver.gpus) or ()],
            [reading.known(gpu.uuid) for gpu in cuda.gpus] if cuda else [],
        ]
        instances = [uuid for gpu in seen for uuid in reading.known(gpu.mig_uuids) or ()]
        uuids = dict.fromkeys([*instances, *(uuid for group in groups for uuid in group if uuid is not None)])
        complete = any(None not in group and len(group) >= (count or 1) for group in groups)
        return _Gpus(count, tuple(uuids), complete)


def _judge(value: str, entries: list[str], gpus: _Gpus) -> Choice | Unknown:
    taken: list[str] = []
    for entry in entries:
        wrong = _wrong_entry(entry, gpus)
        if isinstance(wrong, Unknown):
            return wrong
        if wrong is not None:
            name = f'"{entry}"' if len(entries) > 1 else "it"
            return Choice(value, len(taken), f"{name} {wrong}")
        if entry in taken:
            return Choice(value, 0, f'"{entry}" is named twice, and CUDA then shows no GPU at all')
        taken.append(entry)
    return Choice(value, len(taken), None)


def _wrong_entry(entry: str, gpus: _Gpus) -> str | Unknown | None:
    """What is wrong with one entry, as the end of a sentence that starts with it."""
    if entry == "":
        return "names nothing, which hides every GPU from there on"
    if _INDEX.match(entry):
        return _wrong_index(int(entry), gpus)
    if entry.startswith(("GPU-", "MIG-")):
        return _wrong_uuid(entry, gpus)
    if _BARE_UUID.match(entry):
        return 'lacks the "GPU-" in front of a UUID'
    return "is neither an index nor a UUID"


def _wrong_index(index: int, gpus: _Gpus) -> str | Unknown | None:
    if index < 0:
        return "is negative, which hides every GPU from there on"
    if gpus.count is None:
        return Unknown(f"cannot tell how many GPUs {NAME} may choose from", Cause.ABSENT)
    if index < gpus.count:
        return None
    there = (
        "there is one GPU here, with index 0" if gpus.count == 1 else f"the {gpus.count} GPUs here have the indexes 0 to {gpus.count - 1}"
    )
    return f"names GPU {index}, but {there}"


def _wrong_uuid(entry: str, gpus: _Gpus) -> str | Unknown | None:
    same_kind = [uuid for uuid in gpus.uuids if uuid[:4] == entry[:4]]
    matches = [uuid for uuid in same_kind if uuid.lower().startswith(entry.lower())]
    if len(matches) == 1:
        return None
    if len(matches) > 1:
        return f"is the start of {len(matches)} UUIDs"
    if not gpus.complete or (entry.startswith("MIG-") and not same_kind):
        return Unknown(f"cannot tell whether {entry} is a GPU of this container: not every UUID is known", Cause.ABSENT)
    return "is the UUID of no GPU of this container"
