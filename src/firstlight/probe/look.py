"""One look at GPUs that an app uses: programs/watch_gpu.py, and what of a machine's facts it renews.

CUDA is not asked. Nothing in here reads what the driver serves under /proc but its version: a sick GPU can block that, and the reader
would be PID 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from firstlight.probe import answers, children, confinement, devices, driver, nvml
from firstlight.probe.facts import NOT_ASKED, Cause, Facts, NodeKind, Nvml, Unknown, Worked, Xid
from firstlight.probe.unread import unread
from firstlight.system import clock

if TYPE_CHECKING:
    from firstlight.probe.answers import Step
    from firstlight.system.loop import Loop
    from firstlight.system.process import Process

_SHARED_NODES = ("/dev/nvidia-uvm", "/dev/nvidiactl")

# How many Xids of the past are kept. A GPU that goes on reporting says nothing new.
_XIDS_KEPT = 64


def before_the_first(proven: Facts) -> Facts:
    """What looks are held against, from the facts of the probe that proved CUDA."""
    return replace(proven, cuda=NOT_ASKED, torch=NOT_ASKED, nvml=NOT_ASKED, worked=Worked(nodes=_worked_nodes(proven)))


def start(loop: Loop, environment: Mapping[str, str], before: Facts, kernel_log: int | None) -> Process:
    """Start a look at the nodes that CUDA worked through."""
    paths = () if isinstance(before.worked, Unknown) else before.worked.nodes
    return children.watcher(loop, environment, paths, kernel_log)


def read(before: Facts, process: Process, waited: float, kernel_log: int | Unknown) -> Facts:
    """The facts as a look renews them. `before` are those of the last look; `kernel_log` is our descriptor, or why there is none."""
    steps = answers.steps(process)
    opened = answers.opened(process, waited)
    stuck = any(isinstance(errno, Unknown) for errno in opened.values())  # at a node: NVML comes after them, and was not asked
    said = Unknown("NVML was not asked: the look ended at a node", Cause.NOT_ASKED) if stuck else nvml.read(process, waited)
    worked = Worked(nodes=()) if isinstance(before.worked, Unknown) else before.worked
    if isinstance(worked.nvml, Unknown) and isinstance(said, Nvml) and said.init == 0:
        worked = replace(worked, nvml=said)
    return replace(
        before,
        devices=devices.collect(opened),
        driver=replace(before.driver, version=_version(before, steps)),
        confinement=confinement.collect(),
        nvml=said,
        xids=_xids(before, steps, kernel_log),
        worked=worked,
        taken_at=clock.wall(),
    )


def _worked_nodes(proven: Facts) -> tuple[str, ...]:
    """The nodes of the GPUs that were proven, and those that all of them share.

    A container may see the nodes of all the host's GPUs and be allowed its own alone. Where nothing tells which ones were proven,
    no GPU's node is among these, unless there is one only.
    """
    nodes = () if isinstance(proven.devices.nodes, Unknown) else proven.devices.nodes
    paths = [node.path for node in nodes if node.kind is NodeKind.CHAR]
    gpus = [path for path in paths if devices.is_gpu_node(path)]
    if len(gpus) > 1:
        minors = _proven_minors(proven)
        gpus = [path for path in gpus if path in {f"/dev/nvidia{minor}" for minor in minors}]
    return tuple(path for path in paths if path in _SHARED_NODES or path in gpus)


def _proven_minors(proven: Facts) -> set[int]:
    listed = () if isinstance(proven.driver.gpus, Unknown) else proven.driver.gpus
    if isinstance(proven.cuda, Unknown):
        return set()
    uuids = {gpu.uuid for gpu in proven.cuda.gpus if gpu.proven is True and isinstance(gpu.uuid, str)}
    return {gpu.minor for gpu in listed if isinstance(gpu.uuid, str) and gpu.uuid in uuids and isinstance(gpu.minor, int)}


def _version(before: Facts, steps: Sequence[Step]) -> str | Unknown:
    """The kernel driver's version now; as it was where the look did not come so far."""
    for step in steps:
        if step["step"] == "driver":
            path = "/proc/driver/nvidia/version"
            return (
                driver.version_in(step["text"]) if step["errno"] == 0 else unread(path, OSError(step["errno"], os.strerror(step["errno"])))
            )
    return before.driver.version


def _xids(before: Facts, steps: Sequence[Step], kernel_log: int | Unknown) -> tuple[Xid, ...] | Unknown:
    if isinstance(kernel_log, Unknown):
        return kernel_log
    earlier = () if isinstance(before.xids, Unknown) else before.xids
    reported = [Xid(number=step["number"], bus_id=step["bus_id"], text=step["text"]) for step in steps if step["step"] == "xid"]
    return (*(replace(xid, new=False) for xid in earlier), *reported)[-_XIDS_KEPT:]
