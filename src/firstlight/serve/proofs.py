"""The GPUs of a boot and the proof of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstlight.journal.event import Event, Stage
from firstlight.serve import reading


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU and the proof of it. `kernel` is how long the proving kernels took, in seconds; `words` why there is no proof."""

    name: str
    uuid: str = ""
    memory: int | None = None  # bytes
    used: int | None = None
    proven: bool | None = None
    kernel: float | None = None
    words: str = ""


def gpus(events: Sequence[Event]) -> tuple[Gpu, ...]:
    """NVML's GPUs where the facts were kept (a sick machine's), with what CUDA proved; else those proven."""
    since = max((place for place, event in enumerate(events) if event.kind == "stage" and event.stage is Stage.PROBE), default=0)
    proofs: dict[str, Gpu] = {}
    listed: list[Gpu] = []
    for event in events[since:]:
        if event.kind == "facts":
            listed = [_nvml_gpu(gpu) for gpu in reading.items(reading.inside(event.data, "facts", "nvml", "gpus"))]
        elif event.kind == "proof" and isinstance(event.data.get("gpu"), Mapping):
            gpu = _proof(event.data["gpu"], event.data.get("seconds"))
            proofs[gpu.uuid or f"#{len(proofs)}"] = gpu
    for place, gpu in enumerate(listed):
        proof = proofs.pop(gpu.uuid, None)
        if proof is not None:
            words = proof.words or gpu.words
            listed[place] = Gpu(
                name=gpu.name, uuid=gpu.uuid, memory=gpu.memory, used=gpu.used, proven=proof.proven, kernel=proof.kernel, words=words
            )
    return (*listed, *proofs.values())


def _nvml_gpu(data: Any) -> Gpu:
    data = data if isinstance(data, Mapping) else {}
    error = reading.whole(data.get("error")) or 0
    return Gpu(
        name=reading.text(data.get("name")) or f"GPU {data.get('index', '?')}",
        uuid=reading.text(data.get("uuid")),
        memory=reading.whole(data.get("memory_total")),
        used=reading.whole(data.get("memory_used")),
        words=f"NVML cannot reach it: error {error}." if error else "",
    )


def _proof(data: Mapping[str, Any], seconds: Any) -> Gpu:
    proven = data.get("proven")
    codes = [f"{step} failed with CUDA error {data[step]}" for step in ("context", "kernel") if reading.whole(data.get(step))]
    kernel = seconds.get("kernel") if isinstance(seconds, Mapping) else None
    return Gpu(
        name=reading.text(data.get("name")) or f"GPU {data.get('ordinal', '?')}",
        uuid=reading.text(data.get("uuid")),
        memory=reading.whole(data.get("memory_total")),
        proven=proven if isinstance(proven, bool) else None,
        kernel=float(kernel) if proven is True and isinstance(kernel, (int, float)) else None,
        words=next(iter(codes), ""),
    )
